// Encoders: how close they come, and what they make of values that are zero, huge, tiny or not finite.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "formats/all.h"

namespace medlar {
namespace {

using Values = std::vector<float>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kTiniest = std::numeric_limits<float>::denorm_min();

void for_each_weight_type(const std::function<void(const FormatInfo&)>& fn) {
  formats::for_each_format([&]<formats::Format F>(F) { fn(F::info); });
}

Values through(const FormatInfo& info, const Values& x) {
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::byte> blocks(static_cast<std::size_t>(row_bytes(info.type, n)));
  encode_row(info.type, x.data(), blocks.data(), n);
  Values y(x.size());
  decode_row(info.type, blocks.data(), y.data(), n);
  return y;
}

template <class Distribution>
Values draw(Distribution distribution, std::size_t n, float factor = 1) {
  std::mt19937 random(17);
  Values x(n);
  for (float& v : x) v = factor * static_cast<float>(distribution(random));
  return x;
}

// Magnitudes of a grid or of two bits: none is near zero beside a great one.
bool is_grid(DType type) {
  switch (type) {
    case DType::iq1_s:
    case DType::iq1_m:
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq2_s:
    case DType::iq3_xxs:
    case DType::iq3_s:
      return true;
    default:
      return false;
  }
}

double relative_error(const Values& x, const Values& y) {
  double error = 0, power = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    error += std::pow(static_cast<double>(y[i]) - x[i], 2);
    power += std::pow(static_cast<double>(x[i]), 2);
  }
  return std::sqrt(error / power);
}

struct Bar {
  double gauss, laplace;
};

// Relative errors on standard normal and Laplace values of the quantizers in ggml 0.5.0 without an importance
// matrix, measured over 2^20 values; of the formats from iq3_s on in ggml 0.26, with one of ones where that
// is better.
const std::map<std::string_view, Bar> kGgml = {
    {"q4_0", {0.08594, 0.10711}},  {"q4_1", {0.07822, 0.09182}},   {"q5_0", {0.04268, 0.05358}},
    {"q5_1", {0.03785, 0.04442}},  {"q8_0", {0.00535, 0.00675}},   {"q2_k", {0.29642, 0.34442}},
    {"q3_k", {0.15083, 0.17672}},  {"q4_k", {0.07135, 0.08466}},   {"q5_k", {0.03612, 0.04282}},
    {"q6_k", {0.01774, 0.02170}},  {"iq4_nl", {0.07865, 0.08961}}, {"iq4_xs", {0.07672, 0.08881}},
    {"mxfp4", {0.11494, 0.12680}}, {"iq3_s", {0.13675, 0.15476}},  {"iq3_xxs", {0.18148, 0.18275}},
    {"iq2_s", {0.24849, 0.29609}}, {"iq2_xs", {0.29940, 0.31451}}, {"iq2_xxs", {0.34356, 0.37081}},
    {"iq1_m", {0.45102, 0.49067}}, {"iq1_s", {0.48521, 0.54694}},  {"tq1_0", {0.80593, 0.83164}},
    {"tq2_0", {0.80593, 0.83164}}, {"nvfp4", {0.09525, 0.09282}},
};

TEST(Encode, IsAsCloseAsGgml) {
  constexpr std::size_t kCount = 1 << 17;
  const Values gauss = draw(std::normal_distribution<double>(), kCount);
  Values laplace = draw(std::exponential_distribution<double>(), kCount);
  for (std::size_t i = 0; i < kCount; i += 2) laplace[i] = -laplace[i];
  int compared = 0;
  for_each_weight_type([&](const FormatInfo& info) {
    if (info.block_length == 1) return;
    const Bar& bar = kGgml.at(info.name);
    // Two percent for the sample: 2^17 values of this seed.
    EXPECT_LT(relative_error(gauss, through(info, gauss)), bar.gauss * 1.02) << info.name;
    EXPECT_LT(relative_error(laplace, through(info, laplace)), bar.laplace * 1.02) << info.name;
    ++compared;
  });
  EXPECT_EQ(compared, static_cast<int>(kGgml.size()));
}

TEST(Encode, KeepsItsErrorAtEveryMagnitude) {
  for_each_weight_type([&](const FormatInfo& info) {
    if (info.block_length == 1) return;
    // At these, scales stay normal f16 numbers.
    const double whole = relative_error(draw(std::normal_distribution<double>(), 8192),
                                        through(info, draw(std::normal_distribution<double>(), 8192)));
    for (const float factor : {0.5F, 16.0F, 1024.0F}) {
      if (info.type == DType::nvfp4 && factor > 100) continue;  // its scales end at 448
      const Values x = draw(std::normal_distribution<double>(), 8192, factor);
      EXPECT_NEAR(relative_error(x, through(info, x)), whole, whole * 0.02) << info.name << " x " << factor;
    }
  });
}

// Half a step of the code is the most that formats scaled by the range may be off, and a whole one where the
// range is not symmetric: values opposite the peak lack a code. Rounding the scale adds up to 2^-11 of the
// range.
TEST(Encode, StaysWithinAStep) {
  struct Case {
    DType type;
    double step;
  };
  constexpr Case kCases[] = {{DType::q4_0, 1.0 / 8},  {DType::q4_1, 1.0 / 15},  {DType::q5_0, 1.0 / 16},
                             {DType::q5_1, 1.0 / 31}, {DType::q8_0, 0.5 / 127}, {DType::mxfp4, 2.0 / 8}};
  const Values x = draw(std::uniform_real_distribution<double>(-1, 1), 8192);
  for (const auto& [type, step] : kCases) {
    const FormatInfo& info = format_info(type);
    const Values y = through(info, x);
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_LE(std::abs(y[i] - x[i]), step + 2.0 / 2048) << info.name << " " << i;
  }
}

TEST(Encode, ZerosStayZeros) {
  for_each_weight_type([](const FormatInfo& info) {
    for (const float zero : {0.0F, -0.0F})
      for (const float v : through(info, Values(512, zero))) ASSERT_EQ(v, 0.0F) << info.name;
  });
}

TEST(Encode, ConstantsComeBack) {
  for_each_weight_type([](const FormatInfo& info) {
    for (const float constant : {1.0F, -1.0F, 0.02F, -3e-3F, 1000.0F}) {
      // mxfp4 cuts 8 scales to 6; nvfp4 rounds scales to four bits, others to six.
      const float part = info.type == DType::mxfp4   ? 0.25F
                         : info.type == DType::nvfp4 ? 1.0F / 16
                                                     : 1.0F / 62;
      const float bound = std::abs(constant) * part;
      for (const float v : through(info, Values(256, constant))) ASSERT_NEAR(v, constant, bound) << info.name;
    }
  });
}

TEST(Encode, AnOutlierSurvivesAndSparesOtherGroups) {
  for_each_weight_type([](const FormatInfo& info) {
    Values x = draw(std::normal_distribution<double>(), 512, 0.02F);
    x[100] = 5;
    const Values y = through(info, x);
    EXPECT_NEAR(y[100], 5, is_grid(info.type) ? 3.0 : info.type == DType::mxfp4 ? 1.0 : 0.2) << info.name;
    const Values rest(x.begin() + 256, x.end());
    const double alone = relative_error(rest, through(info, rest));
    EXPECT_NEAR(relative_error(rest, Values(y.begin() + 256, y.end())), alone, 1e-12) << info.name;
  });
}

// What a block may hold that is not finite, anywhere in it, is not hidden.
TEST(Encode, NotFiniteValuesShow) {
  for_each_weight_type([](const FormatInfo& info) {
    if (info.type == DType::nvfp4) return;
    for (const float bad : {kNan, -kNan, kInfinity, -kInfinity}) {
      for (std::int64_t at = 0; at < info.block_length; at += 5) {
        Values x = draw(std::normal_distribution<double>(), static_cast<std::size_t>(info.block_length));
        x[static_cast<std::size_t>(at)] = bad;
        const Values y = through(info, x);
        ASSERT_FALSE(std::ranges::all_of(y, [](float v) { return std::isfinite(v); }))
            << info.name << " " << bad;
      }
    }
    for (const float bad : {kNan, kInfinity, -kInfinity}) {
      const Values y = through(info, Values(256, bad));
      ASSERT_FALSE(std::ranges::all_of(y, [](float v) { return std::isfinite(v); }))
          << info.name << " " << bad;
    }
  });
}

TEST(Encode, NotFiniteValuesAreTheGreatestOfNvfp4) {
  const FormatInfo& info = format_info(DType::nvfp4);
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    Values x = draw(std::normal_distribution<double>(), 64);
    x[37] = bad;
    const Values y = through(info, x);
    EXPECT_EQ(y[37], bad < 0 ? -2688.0F : 2688.0F);
    x[37] = 1;
    const Values other = through(info, x);
    EXPECT_TRUE(std::equal(y.begin(), y.begin() + 32, other.begin()));  // of other scales
  }
}

// Far beyond what scales can express: no undefined behaviour, and the signs hold where values come back at
// all.
TEST(Encode, ExtremesAreDefined) {
  constexpr float kMax = std::numeric_limits<float>::max();
  const Values sources[] = {
      Values(256, kMax),
      Values(256, -kMax),
      Values(256, kTiniest),
      Values(256, -kTiniest),
      draw(std::normal_distribution<double>(), 256, 1e37F),
      draw(std::normal_distribution<double>(), 256, 1e-37F),
      draw(std::normal_distribution<double>(), 256, 1e-42F),
      draw(std::uniform_real_distribution<double>(-1, 1), 256, kMax),
  };
  for_each_weight_type([&](const FormatInfo& info) {
    for (const Values& x : sources) {
      const Values y = through(info, x);
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (std::abs(x[i]) < 1e-36F) {
          ASSERT_LT(std::abs(y[i]), 1e-36F) << info.name << " " << i;
        }
      }
    }
  });
}

TEST(Codebook, FindsTheNearestValue) {
  constexpr formats::Codebook kBooks[] = {formats::kIq4Codebook, formats::kQ3Codebook, formats::kQ6Codebook};
  constexpr std::size_t kSizes[] = {16, 8, 64};
  for (std::size_t b = 0; b < std::size(kBooks); ++b) {
    for (int eighths = -2400; eighths <= 2400; ++eighths) {
      const double v = eighths / 8.0;
      double least = 1e9;
      for (std::size_t code = 0; code < kSizes[b]; ++code)
        least = std::min(least, std::abs(kBooks[b][code] - v));
      ASSERT_EQ(std::abs(kBooks[b][kBooks[b].nearest(v)] - v), least) << b << " " << v;
    }
  }
}

// The formats that search do not let a scale overflow.
TEST(Encode, SearchedScalesStayFinite) {
  for (const DType type :
       {DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_nl, DType::iq4_xs,
        DType::iq3_s, DType::iq3_xxs, DType::iq2_s, DType::iq2_xs, DType::iq2_xxs, DType::iq1_m, DType::iq1_s,
        DType::tq1_0, DType::tq2_0, DType::nvfp4}) {
    const FormatInfo& info = format_info(type);
    const Values x = draw(std::normal_distribution<double>(), 256, 1e30F);
    for (const float v : through(info, x)) ASSERT_TRUE(std::isfinite(v)) << info.name;
  }
}

}  // namespace
}  // namespace medlar
