// What can be asked of a format: its facts against GGUF's tables, names, sizes of rows, decoding in place.
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/all.h"

namespace medlar {
namespace {

template <class Fn>
void expect_error(ErrorKind kind, std::string_view part, Fn fn) {
  try {
    fn();
    ADD_FAILURE() << "nothing was thrown; expected: " << part;
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    EXPECT_NE(std::string_view(e.what()).find(part), std::string_view::npos) << e.what();
  }
}

struct Fact {
  const char* name;
  int number, length, bytes;
};

// As GGUF's specification numbers and sizes them.
constexpr Fact kFacts[] = {
    {"f32", 0, 1, 4},         {"f16", 1, 1, 2},        {"q4_0", 2, 32, 18},      {"q4_1", 3, 32, 20},
    {"q5_0", 6, 32, 22},      {"q5_1", 7, 32, 24},     {"q8_0", 8, 32, 34},      {"q2_k", 10, 256, 84},
    {"q3_k", 11, 256, 110},   {"q4_k", 12, 256, 144},  {"q5_k", 13, 256, 176},   {"q6_k", 14, 256, 210},
    {"iq2_xxs", 16, 256, 66}, {"iq2_xs", 17, 256, 74}, {"iq3_xxs", 18, 256, 98}, {"iq1_s", 19, 256, 50},
    {"iq4_nl", 20, 32, 18},   {"iq3_s", 21, 256, 110}, {"iq2_s", 22, 256, 82},   {"iq4_xs", 23, 256, 136},
    {"i8", 24, 1, 1},         {"i16", 25, 1, 2},       {"i32", 26, 1, 4},        {"i64", 27, 1, 8},
    {"f64", 28, 1, 8},        {"iq1_m", 29, 256, 56},  {"bf16", 30, 1, 2},       {"tq1_0", 34, 256, 54},
    {"tq2_0", 35, 256, 66},   {"mxfp4", 39, 32, 17},   {"nvfp4", 40, 64, 36},
};

TEST(Formats, FactsAreThoseOfGguf) {
  EXPECT_EQ(formats::all_infos().size(), std::size(kFacts));
  for (const Fact& fact : kFacts) {
    const FormatInfo& info = format_info(static_cast<DType>(fact.number));
    EXPECT_EQ(info.name, fact.name);
    EXPECT_EQ(static_cast<int>(info.type), fact.number) << fact.name;
    EXPECT_EQ(info.block_length, fact.length) << fact.name;
    EXPECT_EQ(info.block_bytes, fact.bytes) << fact.name;
    EXPECT_EQ(info.bits_per_weight(), 8.0 * fact.bytes / fact.length) << fact.name;
    EXPECT_EQ(parse_dtype(fact.name), info.type) << fact.name;
  }
}

TEST(Formats, BlocksMayLieAtEvenAddresses) {
  formats::for_each_format([]<formats::Format F>(F) {
    if (F::info.block_length > 1) {
      EXPECT_LE(alignof(typename F::Block), 2U) << F::info.name;
    }
  });
}

TEST(Formats, AreVisitedOnceEach) {
  std::set<DType> seen;
  formats::for_each_format([&]<formats::Format F>(F) {
    EXPECT_TRUE(seen.insert(F::info.type).second);
    EXPECT_TRUE(F::info.is_weight());
    EXPECT_EQ(formats::visit(F::info.type, []<formats::Format G>(G) { return G::info.name; }), F::info.name);
  });
  for (const FormatInfo& info : formats::all_infos())
    EXPECT_EQ(info.is_weight(), seen.contains(info.type)) << info.name;
}

TEST(Formats, KvTypes) {
  std::set<std::string_view> names;
  for (const FormatInfo& info : formats::all_infos())
    if (info.is_kv()) names.insert(info.name);
  EXPECT_EQ(names, (std::set<std::string_view>{"f32", "f16", "bf16", "q8_0", "q4_0"}));
}

TEST(Formats, NamesAreFoundInAnyCase) {
  EXPECT_EQ(parse_dtype("Q4_K"), DType::q4_k);
  EXPECT_EQ(parse_dtype("IQ4_nl"), DType::iq4_nl);
  for (const char* name : {"", "q4", "q4_kk", "q4_k ", " f16", "float", "F_16"})
    EXPECT_FALSE(parse_dtype(name)) << name;
  EXPECT_FALSE(parse_dtype(std::string_view("f16\0", 4)));
}

TEST(Formats, UnknownNumbersAreNamed) {
  for (const int number : {4, 5, 9, 15, 31, 33, 36, 38, 41, 200, 255}) {
    const auto type = static_cast<DType>(number);
    EXPECT_EQ(formats::find_info(static_cast<std::uint64_t>(number)), nullptr) << number;
    const std::string text = "type " + std::to_string(number) + " ";
    expect_error(ErrorKind::unsupported, text, [&] { format_info(type); });
    expect_error(ErrorKind::unsupported, text, [&] { row_bytes(type, 256); });
    expect_error(ErrorKind::unsupported, text, [&] { formats::visit(type, [](auto) {}); });
    float x[256] = {};
    expect_error(ErrorKind::unsupported, text, [&] { decode_row(type, x, x, 256); });
    expect_error(ErrorKind::unsupported, text, [&] { encode_row(type, x, x, 256); });
  }
  for (const std::uint64_t number : {std::uint64_t{256}, std::uint64_t{1} << 32, ~std::uint64_t{0}})
    EXPECT_EQ(formats::find_info(number), nullptr) << number;
}

TEST(Formats, PlainNumbersHaveSizesButHoldNoWeights) {
  EXPECT_EQ(row_bytes(DType::i64, 3), 24);
  expect_error(ErrorKind::unsupported, "(i64)", [] { formats::visit(DType::i64, [](auto) {}); });
}

TEST(Formats, RowsAreWholeBlocks) {
  for (const FormatInfo& info : formats::all_infos()) {
    EXPECT_EQ(row_bytes(info.type, 0), 0) << info.name;
    EXPECT_EQ(row_bytes(info.type, 7 * info.block_length), 7 * info.block_bytes) << info.name;
    expect_error(ErrorKind::bad_file, info.name, [&] { row_bytes(info.type, -info.block_length); });
    if (info.block_length == 1) continue;
    for (const std::int64_t n : {std::int64_t{1}, info.block_length - 1, 2 * info.block_length + 1})
      expect_error(ErrorKind::bad_file, info.name, [&] { row_bytes(info.type, n); });
  }
}

TEST(Formats, SizesThatOverflowAreRefused) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  for (const FormatInfo& info : formats::all_infos()) {
    const std::int64_t n = kMax / info.block_length * info.block_length;
    if (info.block_bytes > info.block_length) {
      expect_error(ErrorKind::bad_file, "overflow", [&] { row_bytes(info.type, n); });
    } else {
      EXPECT_EQ(row_bytes(info.type, n), n / info.block_length * info.block_bytes) << info.name;
    }
    EXPECT_THROW(row_bytes(info.type, std::numeric_limits<std::int64_t>::min()), Error) << info.name;
  }
}

// Bytes that begin at every alignment give the same rows, equal to decode() element by element.
TEST(Formats, RowsMayLieAnywhere) {
  std::mt19937 random(1);
  formats::for_each_format([&]<formats::Format F>(F) {
    constexpr std::int64_t kBlocks = 5;
    constexpr std::int64_t kLength = kBlocks * F::info.block_length;
    std::vector<typename F::Block> blocks(kBlocks);
    std::vector<unsigned char> bytes(kBlocks * sizeof(typename F::Block));
    for (auto& byte : bytes) byte = static_cast<unsigned char>(random());
    std::memcpy(blocks.data(), bytes.data(), bytes.size());
    for (std::size_t shift = 0; shift < 9; ++shift) {
      std::vector<unsigned char> moved(bytes.size() + shift);
      std::memcpy(moved.data() + shift, bytes.data(), bytes.size());
      std::vector<float> values(kLength);
      decode_row(F::info.type, moved.data() + shift, values.data(), kLength);
      for (std::int64_t i = 0; i < kLength; ++i) {
        const auto k = static_cast<std::size_t>(i / F::info.block_length);
        const float one = decode(&blocks[k], static_cast<formats::u32>(i % F::info.block_length));
        ASSERT_TRUE(values[static_cast<std::size_t>(i)] == one || one != one) << F::info.name << " " << i;
      }
      std::vector<unsigned char> again(moved.size() + 1, 0xa5);
      for (float& v : values) v = static_cast<float>(random() % 1000) - 500;
      encode_row(F::info.type, values.data(), again.data() + shift, kLength);
      std::vector<unsigned char> aligned(bytes.size());
      encode_row(F::info.type, values.data(), aligned.data(), kLength);
      ASSERT_EQ(std::memcmp(again.data() + shift, aligned.data(), aligned.size()), 0) << F::info.name;
      ASSERT_EQ(again.back(), 0xa5) << F::info.name << " wrote past its row";
    }
  });
}

}  // namespace
}  // namespace medlar
