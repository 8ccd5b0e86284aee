// What the program puts on a terminal: safe text, numbers, and lines that fit.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/app.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace medlar::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Visible, KeepsTextOfEveryScript) {
  const std::string text = "tab\tline\nÄpfel 水 🦊 e\u0301";
  EXPECT_EQ(visible(text), text);
}

TEST(Visible, ShowsControlsInsteadOfSendingThem) {
  EXPECT_EQ(visible("a\x1b[2Jb"), "a␛[2Jb");
  EXPECT_EQ(visible("\x1b]0;title\x07"), "␛]0;title␇");
  EXPECT_EQ(visible(std::string("\0\r\x7f\b", 4)), "␀␍␡␈");
}

TEST(Visible, ReplacesWhatTerminalsActOnBeyondAscii) {
  EXPECT_EQ(visible("\u009b2J"), "\uFFFD2J");  // C1 control sequence introducer
  EXPECT_EQ(visible("\x9b"
                    "2J"),
            "\uFFFD"
            "2J");                                           // the same as a bare byte
  EXPECT_EQ(visible("a\u202Eb\u2066c"), "a\uFFFDb\uFFFDc");  // text that runs backwards
  EXPECT_EQ(visible("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");  // a lone surrogate
}

TEST(Fit, CutsAtTheColumnWithoutSplittingCharacters) {
  EXPECT_EQ(fit("abcdef", 6), "abcdef");
  EXPECT_EQ(fit("abcdefg", 6), "abcde…");
  EXPECT_EQ(fit("水水水水", 6), "水水…");
  EXPECT_EQ(display_width(fit("水水水水", 7)), 7);
  EXPECT_EQ(fit("abc", 0), "");
}

TEST(Styled, AddsColourOnlyWhereThereIsSome) {
  EXPECT_EQ(styled({.colour = false}, Style::red, "x"), "x");
  EXPECT_EQ(styled({.colour = true}, Style::plain, "x"), "x");
  EXPECT_EQ(styled({.colour = true}, Style::red, "x"), "\x1b[31mx\x1b[0m");
}

TEST(Units, Bytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.00 kB");
  EXPECT_EQ(format_bytes(98'362'432), "98.4 MB");
  EXPECT_EQ(format_bytes(999'499'999), "999 MB");
  EXPECT_EQ(format_bytes(999'999'999), "1.00 GB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "18446744 TB");
}

TEST(Units, Durations) {
  EXPECT_EQ(format_duration(0.4), "0:00");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(3599), "59:59");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(1e18), "99:00:00");
}

TEST(Units, ParametersAndRates) {
  EXPECT_EQ(format_parameters(134'515'008), "135 M");
  EXPECT_EQ(format_parameters(1'235'814'432), "1.24 B");
  EXPECT_EQ(format_rate(7.46), "7.5");
  EXPECT_EQ(format_rate(311.7), "312");
}

Progress halfway() {
  return {.what = "downloading",
          .done = 44'000'000,
          .total = 98'000'000,
          .per_second = 12.5e6,
          .seconds_left = 4.3};
}

TEST(ProgressLine, SaysEverythingWhereThereIsRoom) {
  const std::string line = render_progress(halfway(), 100);
  for (const char* part : {"downloading", "44%", "44.0 MB of 98.0 MB", "12.5 MB/s", "0:04 left", "[#"})
    EXPECT_THAT(line, HasSubstr(part));
}

TEST(ProgressLine, FitsEveryWidth) {
  for (int columns = 1; columns <= 200; ++columns)
    EXPECT_LE(display_width(render_progress(halfway(), columns)), columns) << columns;
}

TEST(ProgressLine, KeepsTheShareAndTheTimeLeftAt40Columns) {
  const std::string line = render_progress(halfway(), 39);
  EXPECT_THAT(line, HasSubstr("44%"));
  EXPECT_THAT(line, HasSubstr("0:04 left"));
}

TEST(ProgressLine, SaysNothingItDoesNotKnow) {
  const std::string line = render_progress({.what = "resolving"}, 80);
  EXPECT_EQ(line, "resolving");
  EXPECT_THAT(render_progress({.what = "reading", .done = 3, .total = 4, .bytes = false}, 80),
              Not(HasSubstr(" B")));
  EXPECT_THAT(render_progress({.what = "reading", .done = 5, .total = 4}, 80), HasSubstr("100%"));
}

TEST(FailureLine, IsOneLineWhateverTheErrorHolds) {
  EXPECT_EQ(failure_line(Error(ErrorKind::bad_file, "a.gguf: no GGUF file")), "a.gguf: no GGUF file");
  EXPECT_EQ(failure_line(Error(ErrorKind::usage, "no device \"x\".", "choose cpu")),
            "no device \"x\". Choose cpu");
  EXPECT_EQ(failure_line(Error(ErrorKind::not_found, "no model x", "medlar pull x")),
            "no model x. medlar pull x");
  EXPECT_THAT(failure_line(Error(ErrorKind::io, "a\nb\x1b[2J")), Not(testing::ContainsRegex("[\n\x1b]")));
}

}  // namespace
}  // namespace medlar::cli
