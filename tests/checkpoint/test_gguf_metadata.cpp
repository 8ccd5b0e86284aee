// Typed metadata: what converts, what does not, and what the error says.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "allocation_meter.h"
#include "base/error.h"
#include "checkpoint/gguf.h"
#include "gguf_bytes.h"

namespace medlar::gguf {
namespace {

using ::testing::ElementsAre;

// The message with which f fails.
template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::bad_file);
    return e.what();
  }
  return "nothing was thrown";
}

// One key of each type, named after it: scalars hold 1, true or "1"; arrays hold two of them.
Bytes one_of_each() {
  Bytes b;
  b.header(0, 24)
      .key<std::uint8_t>("u8", 1)
      .key<std::int8_t>("i8", 1)
      .key<std::uint16_t>("u16", 1)
      .key<std::int16_t>("i16", 1)
      .key<std::uint32_t>("u32", 1)
      .key<std::int32_t>("i32", 1)
      .key<std::uint64_t>("u64", 1)
      .key<std::int64_t>("i64", 1)
      .key<float>("f32", 1)
      .key<double>("f64", 1)
      .key<bool>("bool", true)
      .key_string("string", "1")
      .key_array<std::uint8_t>("array of u8", {1, 1})
      .key_array<std::int8_t>("array of i8", {1, 1})
      .key_array<std::uint16_t>("array of u16", {1, 1})
      .key_array<std::int16_t>("array of i16", {1, 1})
      .key_array<std::uint32_t>("array of u32", {1, 1})
      .key_array<std::int32_t>("array of i32", {1, 1})
      .key_array<std::uint64_t>("array of u64", {1, 1})
      .key_array<std::int64_t>("array of i64", {1, 1})
      .key_array<float>("array of f32", {1, 1})
      .key_array<double>("array of f64", {1, 1})
      .key_array<bool>("array of bool", {true, true})
      .key_strings("array of string", {"1", "1"});
  return b;
}

const std::vector<std::string_view> kIntegers = {"u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64"};
const std::vector<std::string_view> kReals = {"f32", "f64"};

// Asking for T succeeds for exactly the keys in `good`; for every other key the error names it and both
// types.
template <class T>
void expect_only(std::string_view expected, const std::vector<std::string>& good, const T& value) {
  const Bytes bytes = one_of_each();
  const Contents file = parse(bytes.span(), "m.gguf");
  for (const Entry& entry : file.metadata.entries()) {
    const bool is_good = std::ranges::find(good, entry.key) != good.end();
    if (is_good) {
      EXPECT_EQ(file.metadata.get<T>(entry.key), value) << entry.key;
    } else {
      EXPECT_EQ(message_of([&] { file.metadata.get<T>(entry.key); }),
                fmt::format("m.gguf: key {0}: expected {1}, found {0}", entry.key, expected));
      EXPECT_THROW(file.metadata.find<T>(entry.key), Error);
      EXPECT_THROW(file.metadata.get_or<T>(entry.key, T{}), Error);
    }
  }
}

std::vector<std::string> arrays_of(const std::vector<std::string_view>& names) {
  std::vector<std::string> all;
  all.reserve(names.size());
  for (std::string_view name : names) all.push_back(fmt::format("array of {}", name));
  return all;
}

template <class T>
class GgufInteger : public ::testing::Test {};
using Integers = ::testing::Types<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t,
                                  std::int32_t, std::uint64_t, std::int64_t>;
TYPED_TEST_SUITE(GgufInteger, Integers);

TYPED_TEST(GgufInteger, TakesEveryIntegerTypeAndNoOther) {
  const std::string_view name = type_name(type_of<TypeParam>());
  expect_only<TypeParam>(name, {kIntegers.begin(), kIntegers.end()}, 1);
  expect_only<std::vector<TypeParam>>(fmt::format("array of {}", name), arrays_of(kIntegers), {1, 1});
}

TEST(GgufMetadata, OtherTypesTakeTheirOwnFamilyOnly) {
  expect_only<float>("f32", {kReals.begin(), kReals.end()}, 1);
  expect_only<double>("f64", {kReals.begin(), kReals.end()}, 1);
  expect_only<bool>("bool", {"bool"}, true);
  expect_only<std::string_view>("string", {"string"}, "1");
  expect_only<std::string>("string", {"string"}, "1");
  expect_only<std::vector<float>>("array of f32", arrays_of(kReals), {1, 1});
  expect_only<std::vector<double>>("array of f64", arrays_of(kReals), {1, 1});
  expect_only<std::vector<bool>>("array of bool", {"array of bool"}, {true, true});
  expect_only<std::vector<std::string_view>>("array of string", {"array of string"}, {"1", "1"});
}

TEST(GgufMetadata, IntegersConvertOnlyWhenExact) {
  const Bytes bytes = Bytes()
                          .header(0, 4)
                          .key<std::uint64_t>("big", std::uint64_t{1} << 32)
                          .key<std::int32_t>("minus", -1)
                          .key<std::uint8_t>("byte", 255)
                          .key_array<std::int32_t>("list", {1, 70000});
  const Metadata m = parse(bytes.span(), "m").metadata;
  EXPECT_EQ(message_of([&] { m.get<std::uint32_t>("big"); }), "m: key big: 4294967296 does not fit u32");
  EXPECT_EQ(m.get<std::int64_t>("big"), std::int64_t{1} << 32);
  EXPECT_EQ(message_of([&] { m.get<std::uint64_t>("minus"); }), "m: key minus: -1 does not fit u64");
  EXPECT_EQ(m.get<std::int8_t>("minus"), -1);
  EXPECT_EQ(message_of([&] { m.get<std::int8_t>("byte"); }), "m: key byte: 255 does not fit i8");
  EXPECT_EQ(message_of([&] { m.get<std::vector<std::uint16_t>>("list"); }),
            "m: key list: 70000 does not fit u16");
  EXPECT_THAT(m.get<std::vector<std::uint64_t>>("list"), ElementsAre(1, 70000));
}

TEST(GgufMetadata, RealsConvertWithinTheirRange) {
  const Bytes bytes = Bytes()
                          .header(0, 4)
                          .key<double>("huge", 1e300)
                          .key<double>("eps", 1e-6)
                          .key<double>("infinite", std::numeric_limits<double>::infinity())
                          .key<float>("nan", std::numeric_limits<float>::quiet_NaN());
  const Metadata m = parse(bytes.span(), "m").metadata;
  EXPECT_EQ(message_of([&] { m.get<float>("huge"); }), "m: key huge: 1e+300 does not fit f32");
  EXPECT_EQ(m.get<float>("eps"), 1e-6F);
  EXPECT_TRUE(std::isinf(m.get<float>("infinite")));
  EXPECT_TRUE(std::isnan(m.get<double>("nan")));
}

TEST(GgufMetadata, AbsentKeysAreOptionalOrNamed) {
  const Bytes bytes = Bytes().header(0, 1).key<std::uint32_t>("there", 5);
  const Metadata m = parse(bytes.span(), "m.gguf").metadata;
  EXPECT_EQ(m.find<std::uint32_t>("there"), 5u);
  EXPECT_EQ(m.find<std::uint32_t>("absent"), std::nullopt);
  EXPECT_EQ(m.get_or<std::uint32_t>("absent", 9), 9u);
  EXPECT_TRUE(m.contains("there"));
  EXPECT_FALSE(m.contains("ther"));
  EXPECT_EQ(message_of([&] { m.get<std::uint32_t>("absent\n"); }), "m.gguf: key absent\\n is missing");
}

TEST(GgufMetadata, PerLayerValuesAreOneForAllOrOneForEach) {
  const Bytes bytes = Bytes()
                          .header(0, 3)
                          .key<std::uint32_t>("one", 8)
                          .key_array<std::int32_t>("each", {8, 4, 8})
                          .key_string("text", "8");
  const Metadata m = parse(bytes.span(), "m").metadata;
  EXPECT_THAT(m.per_layer<std::uint32_t>("one", 3), ElementsAre(8, 8, 8));
  EXPECT_THAT(m.per_layer<std::uint32_t>("each", 3), ElementsAre(8, 4, 8));
  EXPECT_EQ(message_of([&] { m.per_layer<int>("each", 4); }), "m: key each: 3 elements, expected 4");
  EXPECT_EQ(message_of([&] { m.per_layer<int>("text", 4); }), "m: key text: expected i32, found string");
}

TEST(GgufMetadata, EntriesKeepTheOrderOfTheFile) {
  const Bytes bytes = Bytes().header(0, 3).key("z", 1).key("a", 2).key("m", 3);
  const Contents file = parse(bytes.span(), "m");
  std::vector<std::string_view> keys;
  for (const Entry& entry : file.metadata.entries()) keys.push_back(entry.key);
  EXPECT_THAT(keys, ElementsAre("z", "a", "m"));
}

TEST(GgufMetadata, StringValuesMayHoldAnyBytes) {
  const std::string_view odd("\0\xff\n", 3);
  const Bytes bytes = Bytes().header(0, 2).key_string("s", odd).key_strings("list", {odd, "", odd});
  const Metadata m = parse(bytes.span(), "m").metadata;
  EXPECT_EQ(m.get<std::string_view>("s"), odd);
  EXPECT_THAT(m.get<std::vector<std::string_view>>("list"), ElementsAre(odd, "", odd));
}

TEST(GgufMetadata, StringsAreAForwardRange) {
  static_assert(std::forward_iterator<Strings::iterator>);
  const Bytes bytes = Bytes().header(0, 2).key_strings("list", {"a", "bc", ""}).key_strings("none", {});
  const Metadata m = parse(bytes.span(), "m").metadata;
  const Strings list = m.get<Strings>("list");
  EXPECT_EQ(list.size(), 3u);
  auto it = list.begin();
  EXPECT_EQ(*it++, "a");
  EXPECT_EQ(*it, "bc");
  EXPECT_EQ(*++it, "");
  EXPECT_EQ(++it, list.end());
  EXPECT_EQ(m.get<Strings>("none").begin(), m.get<Strings>("none").end());
}

TEST(GgufMetadata, NestedArraysAreSteppedOverAndHaveNoTypedAccess) {
  Bytes bytes;
  bytes.header(0, 2).string("nested").type(ValueType::array).type(ValueType::array).number<std::uint64_t>(2);
  for (int i = 0; i < 2; ++i) bytes.type(ValueType::u8).number<std::uint64_t>(1).number<std::uint8_t>(7);
  bytes.key<std::uint32_t>("after", 5);
  const Metadata m = parse(bytes.span(), "m").metadata;
  EXPECT_EQ(m.get<std::uint32_t>("after"), 5u);
  EXPECT_EQ(message_of([&] { m.get<std::vector<std::uint8_t>>("nested"); }),
            "m: key nested: expected array of u8, found array of array");
}

TEST(GgufMetadata, ALargeVocabularyIsOpenedWithoutCopyingIt) {
  constexpr std::uint64_t kTokens = 262'144;
  Bytes bytes;
  bytes.header(0, 2).string("tokens").type(ValueType::array).type(ValueType::string).number(kTokens);
  for (std::uint64_t i = 0; i < kTokens; ++i) bytes.string("token" + std::to_string(i));
  bytes.string("scores").type(ValueType::array).type(ValueType::f32).number(kTokens).zeros(4 * kTokens);
  const std::size_t before = allocated_bytes();
  const Contents file = parse(bytes.span(), "m");
  std::uint64_t i = 0;
  for (std::string_view token : file.metadata.get<Strings>("tokens")) {
    if (i % 1000 == 0) {
      EXPECT_EQ(token, "token" + std::to_string(i));
    }
    ++i;
  }
  EXPECT_EQ(i, kTokens);
  EXPECT_LT(allocated_bytes() - before, 32768u);
  EXPECT_EQ(file.metadata.get<std::vector<float>>("scores").size(), kTokens);
}

// Contents that change after the check, as a file overwritten in place does, must not lead out of bounds.
TEST(GgufMetadata, ContentsOverwrittenAfterOpeningAreAnError) {
  Bytes bytes = Bytes().header(0, 2).key_strings("list", {"abc", "def"}).key_array<int>("numbers", {1, 2});
  std::vector<std::byte> file(bytes.span().begin(), bytes.span().end());
  const Metadata m = parse(file, "m").metadata;
  std::ranges::fill(std::span(file).subspan(24), std::byte{0xff});
  EXPECT_THROW(m.get<Strings>("list"), Error);
  EXPECT_THROW(m.get<std::vector<int>>("numbers"), Error);

  std::ranges::copy(bytes.span(), file.begin());
  const auto first = m.get<Strings>("list").begin();
  const std::string_view abc = *first;
  const std::size_t length_of_second =
      static_cast<std::size_t>(abc.data() - reinterpret_cast<char*>(file.data())) + 3;
  std::ranges::fill(std::span(file).subspan(length_of_second, 8), std::byte{0xff});
  EXPECT_THROW(m.get<std::vector<std::string_view>>("list"), Error);
}

}  // namespace
}  // namespace medlar::gguf
