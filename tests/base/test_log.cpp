// Escaping of untrusted text, and a log that is silent until told where to write.
#include <algorithm>
#include <memory>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include "base/log.h"

namespace medlar {
namespace {

TEST(Printable, KeepsOrdinaryText) {
  EXPECT_EQ(printable("plain text, tags <b> and \\ too"), "plain text, tags <b> and \\ too");
  EXPECT_EQ(printable("Grüße, 世界 🌍"), "Grüße, 世界 🌍");
  EXPECT_EQ(printable(""), "");
}

TEST(Printable, EscapesWhatATerminalOrALogReaderWouldActOn) {
  EXPECT_EQ(printable("a\nb\r\tc"), "a\\nb\\r\\tc");
  EXPECT_EQ(printable("\x1b[31mred\x07"), "\\x1b[31mred\\x07");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\x7f"), "\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"), "\\x9b");                               // C1: one-byte CSI
  EXPECT_EQ(printable("\xe2\x80\xa8\xe2\x80\xae"), "\\u{2028}\\u{202e}");  // line separator, override
}

TEST(Printable, EscapesBrokenUtf8ByteByByte) {
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(printable("\xe0\x80\x80"), "\\xe0\\x80\\x80");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  EXPECT_EQ(printable("x\xe4\xb8"), "x\\xe4\\xb8");                  // cut short
  EXPECT_EQ(printable("\x80"
                      "a"),
            "\\x80"
            "a");
}

TEST(Printable, CapsLongTextBetweenCharacters) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdef", 4), "abcd... (2 more bytes)");
  EXPECT_EQ(printable("aé", 2), "a... (2 more bytes)");
  EXPECT_EQ(printable("abc", 0), "... (3 more bytes)");
  const std::string huge(100'000'000, '\x1b');
  EXPECT_LT(printable(huge, 256).size(), 256 * 4 + 40U);
}

std::shared_ptr<spdlog::sinks::sink> sink_to(std::ostringstream& out) {
  return std::make_shared<spdlog::sinks::ostream_sink_mt>(out);
}

TEST(Logger, WritesNowhereByDefault) {
  const Logger log;
  for (const LogLevel level :
       {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error, LogLevel::off}) {
    EXPECT_FALSE(log.enabled(level));
  }
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  log.error("nobody reads {}", "this");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST(Logger, WritesOneEscapedLineAtOrAboveItsLevel) {
  std::ostringstream out;
  const Logger log(sink_to(out), LogLevel::warning);
  EXPECT_FALSE(log.enabled(LogLevel::info));
  log.info("hidden");
  EXPECT_EQ(out.str(), "");
  log.warning("model {} is odd", "a\nforged line");
  EXPECT_NE(out.str().find("warning: model a\\nforged line is odd\n"), std::string::npos) << out.str();
  EXPECT_EQ(std::ranges::count(out.str(), '\n'), 1);
}

TEST(Logger, CapsALine) {
  std::ostringstream out;
  const Logger log(sink_to(out), LogLevel::debug);
  log.error("{}", std::string(10'000'000, 'x'));
  EXPECT_LT(out.str().size(), 5000U);
}

TEST(Logger, BracesInValuesAreNotFormats) {
  std::ostringstream out;
  const Logger log(sink_to(out), LogLevel::debug);
  log.info("{}", "{} {0:n} %s %n");
  EXPECT_NE(out.str().find("{} {0:n} %s %n"), std::string::npos);
}

}  // namespace
}  // namespace medlar
