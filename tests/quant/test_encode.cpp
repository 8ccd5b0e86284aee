// Encoders: never worse than those of formats/, near the best that a scan of all scales finds, and defined
// for every finite input.
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "formats/all.h"
#include "quant/encode.h"

namespace medlar::quant {
namespace {

constexpr std::size_t kRow = 1024;
constexpr DType kSearched[] = {DType::q2_k, DType::q3_k,   DType::q4_k,   DType::q5_k,
                               DType::q6_k, DType::q4_0,   DType::q4_1,   DType::q5_0,
                               DType::q5_1, DType::iq4_nl, DType::iq4_xs, DType::mxfp4};

// Weights of a language model: normal, with a few far out.
std::vector<float> values(std::uint64_t seed, float size = 0.02F) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, size);
  std::vector<float> x(kRow);
  for (std::size_t i = 0; i < kRow; ++i) x[i] = normal(random) * (i % 97 == 0 ? 6.0F : 1.0F);
  return x;
}

std::vector<float> importance(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<float> lognormal(0, 1.5F);
  std::vector<float> columns(kRow);
  for (float& c : columns) c = lognormal(random);
  return columns;
}

std::vector<std::byte> blocks(DType type) {
  return std::vector<std::byte>(static_cast<std::size_t>(row_bytes(type, kRow)));
}

double error_of(DType type, const std::vector<float>& x, const std::vector<float>& columns, bool thorough) {
  auto to = blocks(type);
  encode_row(type, x, to.data(), {.columns = columns, .thorough = thorough});
  return weighted_error(type, x, to.data(), columns);
}

TEST(Encode, IsNeverWorseThanTheFormatsOwn) {
  for (const DType type : kSearched)
    for (const bool weighted : {false, true}) {
      double own = 0, quick = 0, thorough = 0;
      for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        const auto x = values(seed);
        const auto columns = weighted ? importance(seed) : std::vector<float>();
        auto to = blocks(type);
        formats::encode_row(type, x.data(), to.data(), kRow);
        own += weighted_error(type, x, to.data(), columns);
        quick += error_of(type, x, columns, false);
        thorough += error_of(type, x, columns, true);
      }
      SCOPED_TRACE(format_info(type).name);
      EXPECT_LE(quick, own * 1.001);
      EXPECT_LE(thorough, quick * 1.0001);
    }
}

// Of a block with a single scale: every f16 scale is tried, and each code is the best for it.
double best_of_all_scales(DType type, const float* x, const float* weight) {
  const bool table = type == DType::iq4_nl;
  const int first = type == DType::q5_0 ? -16 : -8, last = -first - 1;
  double best = std::numeric_limits<double>::infinity();
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float d = formats::f16_bits_to_f32(static_cast<std::uint16_t>(bits));
    if (!std::isfinite(d) || std::abs(d) > 0.1F) continue;
    double error = 0;
    for (int i = 0; i < 32 && error < best; ++i) {
      double least = std::numeric_limits<double>::infinity();
      for (int code = first; code <= last; ++code) {
        const int value = table ? formats::kIq4Values[code + 8] : code;
        const double e = static_cast<double>(d) * value - static_cast<double>(x[i]);
        least = std::min(least, e * e);
      }
      error += least * static_cast<double>(weight[i]);
    }
    best = std::min(best, error);
  }
  return best;
}

TEST(Encode, FindsScalesNearTheBest) {
  const auto x = values(7);
  const std::vector<float> first(x.begin(), x.begin() + 32);
  double squares = 0;
  for (const float v : first) squares += static_cast<double>(v) * static_cast<double>(v);
  std::vector<float> weight(32);
  for (std::size_t i = 0; i < 32; ++i)
    weight[i] = std::sqrt(static_cast<float>(squares / 32) + first[i] * first[i]);
  for (const DType type : {DType::q4_0, DType::q5_0, DType::iq4_nl}) {
    SCOPED_TRACE(format_info(type).name);
    std::vector<std::byte> to(static_cast<std::size_t>(row_bytes(type, 32)));
    encode_row(type, first, to.data(), {.thorough = true});
    EXPECT_LE(weighted_error(type, first, to.data(), {}),
              1.02 * best_of_all_scales(type, first.data(), weight.data()));
  }
}

TEST(Encode, Q8IsTheFormatsOwnToTheBit) {
  auto x = values(3);
  // Halves are rounded away from zero.
  for (std::size_t i = 0; i < 32; ++i) x[i] = static_cast<float>(i) - 15.5F;
  x[0] = 127;
  auto fast = blocks(DType::q8_0), own = fast;
  encode_row(DType::q8_0, x, fast.data(), {});
  formats::encode_row(DType::q8_0, x.data(), own.data(), kRow);
  EXPECT_EQ(fast, own);
}

TEST(Encode, EveryFiniteInputGivesFiniteValues) {
  std::vector<std::vector<float>> inputs;
  inputs.emplace_back(kRow, 0.0F);
  inputs.emplace_back(kRow, 1e-42F);
  inputs.emplace_back(kRow, -3.0F);
  inputs.push_back(values(5, 1e-7F));
  inputs.push_back(values(5, 9000.0F));
  inputs.emplace_back(kRow, 0.0F);
  inputs.back()[300] = 65504;
  const std::vector<float> none(kRow, 0.0F);
  for (const DType type : kSearched)
    for (const auto& x : inputs)
      for (const std::vector<float>& columns : {std::vector<float>(), none, importance(2)}) {
        auto to = blocks(type);
        encode_row(type, x, to.data(), {.columns = columns, .thorough = true});
        std::vector<float> back(kRow);
        decode_row(type, to.data(), back.data(), kRow);
        for (std::size_t i = 0; i < kRow; ++i)
          ASSERT_TRUE(std::isfinite(back[i])) << format_info(type).name << " of " << x[i];
      }
}

TEST(Encode, ZerosStayZeros) {
  const std::vector<float> zeros(kRow, 0.0F);
  for (const DType type : kSearched) {
    auto to = blocks(type);
    encode_row(type, zeros, to.data(), {});
    std::vector<float> back(kRow, 1.0F);
    decode_row(type, to.data(), back.data(), kRow);
    EXPECT_EQ(back, zeros) << format_info(type).name;
  }
}

// A model that was quantized before must not lose again by the same type.
TEST(Encode, WhatWasQuantizedIsFoundAgain) {
  for (const DType type : kSearched)
    for (const bool thorough : {false, true}) {
      // Few scales, coarse values: a quick search takes others that fit nearly as well.
      if (!thorough && (type == DType::q2_k || type == DType::q3_k || type == DType::iq4_xs)) continue;
      const auto x = values(13);
      auto to = blocks(type);
      formats::encode_row(type, x.data(), to.data(), kRow);
      const double first = weighted_error(type, x, to.data(), {});
      std::vector<float> back(kRow);
      decode_row(type, to.data(), back.data(), kRow);
      encode_row(type, back, to.data(), {.thorough = thorough});
      EXPECT_LE(weighted_error(type, back, to.data(), {}), 0.02 * first)
          << format_info(type).name << thorough;
    }
}

TEST(Encode, ImportantColumnsAreNearer) {
  const auto x = values(11);
  std::vector<float> columns(kRow, 0.01F);
  for (std::size_t i = 0; i < kRow; i += 8) columns[i] = 100;
  for (const DType type : {DType::q2_k, DType::q3_k, DType::q4_k, DType::iq4_xs}) {
    const auto error = [&](const std::vector<float>& by) {
      auto to = blocks(type);
      encode_row(type, x, to.data(), {.columns = by, .thorough = true});
      std::vector<float> back(kRow);
      decode_row(type, to.data(), back.data(), kRow);
      double sum = 0;
      for (std::size_t i = 0; i < kRow; i += 8) sum += std::pow(static_cast<double>(back[i] - x[i]), 2);
      return sum;
    };
    EXPECT_LT(error(columns), 0.8 * error({})) << format_info(type).name;
  }
}

}  // namespace
}  // namespace medlar::quant
