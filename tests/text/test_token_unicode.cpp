// UTF-8 decoding, and the streams that keep it whole.
#include <gtest/gtest.h>

#include "text/token_stream.h"
#include "text/unicode.h"

namespace medlar::text {
namespace {

using std::string_literals::operator""s;

TEST(Unicode, EveryCharacterComesBack) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string bytes;
    append_utf8(bytes, c);
    const CodePoint decoded = decode_utf8(bytes, 0);
    ASSERT_TRUE(decoded.valid) << std::hex << static_cast<std::uint32_t>(c);
    ASSERT_EQ(decoded.value, c);
    ASSERT_EQ(decoded.length, bytes.size());
    ASSERT_EQ(valid_utf8_prefix(bytes), bytes.size());
  }
}

TEST(Unicode, IllFormedBytesStandAlone) {
  // Continuation, overlong, surrogate, above U+10FFFF, never used, cut short.
  for (const std::string& bytes :
       {"\x80"s, "\xC0\x80"s, "\xC1\xBF"s, "\xE0\x9F\xBF"s, "\xED\xA0\x80"s, "\xF0\x8F\xBF\xBF"s,
        "\xF4\x90\x80\x80"s, "\xF5\x80\x80\x80"s, "\xFF"s, "\xE2\x96"s, "\xC3"s, "\xF0\x9F\xA6"s}) {
    const CodePoint c = decode_utf8(bytes, 0);
    EXPECT_FALSE(c.valid) << testing::PrintToString(bytes);
    EXPECT_EQ(c.length, 1u);
    EXPECT_EQ(c.value, kReplacement);
    EXPECT_EQ(valid_utf8_prefix("abcdefghij" + bytes), 10u);
  }
}

std::string stream_all(std::string_view bytes, std::size_t step) {
  Utf8Stream stream;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    out += stream.push(bytes.substr(at, step));
    EXPECT_LE(stream.pending(), 3u);
    EXPECT_EQ(valid_utf8_prefix(out), out.size()) << "a character was split";
  }
  return out + stream.finish();
}

// Expected texts are those of Unicode 15, section 3.9, table 3-8 and the examples around it.
TEST(Utf8Stream, RepairsBySubpartsHoweverItIsCut) {
  const std::pair<std::string, std::string> cases[] = {
      {"", ""},
      {"aéЖ我🦙", "aéЖ我🦙"},
      {"\xE2\x96", "\uFFFD"},
      {"\xF0\x9F\xA6", "\uFFFD"},
      {"\xF1\x80\x80\xE1\x80\xC2"
       "b\x80"
       "c\x80\xBF"
       "d",
       "\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd"},
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
       "A",
       "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF"
       "A",
       "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
      {"\xF4\x91\x92\x93\xFF"
       "A\x80\xBF"
       "B",
       "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
       "A",
       "\uFFFD\uFFFD\uFFFD\uFFFDA"},
  };
  for (const auto& [bytes, expected] : cases) {
    for (std::size_t step = 1; step < 6; ++step) EXPECT_EQ(stream_all(bytes, step), expected) << step;
  }
}

TEST(Utf8Stream, IsReadyForAnotherTextAfterTheEnd) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xE2"), "a");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
  EXPECT_EQ(stream.push("\x96\x81"), "\uFFFD\uFFFD");
}

}  // namespace
}  // namespace medlar::text
