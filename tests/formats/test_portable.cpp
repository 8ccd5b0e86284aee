// The words of formats/portable.h and formats/code.h against their definitions.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "formats/code.h"

namespace medlar::formats {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The value of f16 bits as IEEE 754 defines it.
double f16_value(u32 h) {
  const int exponent = static_cast<int>(h >> 10 & 31);
  const int fraction = static_cast<int>(h & 1023);
  const double sign = h & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction ? std::nan("") : sign * kInfinity;
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

bool is_f16_nan(u32 h) { return (h & 0x7fff) > 0x7c00; }

TEST(F16, DecodesEveryBitPattern) {
  for (u32 h = 0; h < 65536; ++h) {
    const float v = f16_bits_to_f32(static_cast<u16>(h));
    if (is_f16_nan(h)) {
      ASSERT_TRUE(std::isnan(v)) << h;
    } else {
      ASSERT_EQ(v, f16_value(h)) << h;
      ASSERT_EQ(std::signbit(v), (h & 0x8000) != 0) << h;
    }
  }
}

TEST(F16, EncodesItsOwnValues) {
  for (u32 h = 0; h < 65536; ++h) {
    const u16 back = f32_to_f16_bits(f16_bits_to_f32(static_cast<u16>(h)));
    if (is_f16_nan(h)) {
      ASSERT_TRUE(is_f16_nan(back)) << h;
    } else {
      ASSERT_EQ(back, h);
    }
  }
}

TEST(F16, RoundsToNearestAndTiesToEven) {
  for (u32 h = 0; h < 0x7c00; ++h) {
    // Above the largest value the next one would be 2^16.
    const double above = h == 0x7bff ? 65536 : f16_value(h + 1);
    const auto middle = static_cast<float>((f16_value(h) + above) / 2);
    const u32 even = h + (h & 1);
    for (const u32 sign : {0U, 0x8000U}) {
      const float s = sign ? -1.0F : 1.0F;
      ASSERT_EQ(f32_to_f16_bits(s * middle), sign | even) << h;
      ASSERT_EQ(f32_to_f16_bits(s * std::nextafter(middle, 0.0F)), sign | h) << h;
      ASSERT_EQ(f32_to_f16_bits(s * std::nextafter(middle, kInfinity)), sign | (h + 1)) << h;
    }
  }
}

TEST(F16, EncodesExtremes) {
  EXPECT_EQ(f32_to_f16_bits(kInfinity), 0x7c00);
  EXPECT_EQ(f32_to_f16_bits(-kInfinity), 0xfc00);
  EXPECT_EQ(f32_to_f16_bits(std::numeric_limits<float>::max()), 0x7c00);
  EXPECT_EQ(f32_to_f16_bits(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(f32_to_f16_bits(-0.0F), 0x8000);
  for (const u32 nan : {0x7f800001U, 0x7fc00000U, 0x7fffffffU, 0xff800001U, 0xffffffffU})
    EXPECT_TRUE(is_f16_nan(f32_to_f16_bits(bits_f32(nan)))) << nan;
}

TEST(Bf16, RoundsToNearestAndTiesToEven) {
  for (u32 h = 0; h < 0x7f80; ++h) {
    const u32 bits = h << 16;
    ASSERT_EQ(bits_u32(bf16_bits_to_f32(static_cast<u16>(h))), bits);
    ASSERT_EQ(f32_to_bf16_bits(bits_f32(bits)), h);
    ASSERT_EQ(f32_to_bf16_bits(bits_f32(bits + 0x7fff)), h);
    ASSERT_EQ(f32_to_bf16_bits(bits_f32(bits + 0x8000)), h + (h & 1));
    ASSERT_EQ(f32_to_bf16_bits(bits_f32(bits + 0x8001)), h + 1);
    ASSERT_EQ(f32_to_bf16_bits(bits_f32(bits + 0x80008001U)), 0x8000 | (h + 1));
  }
  EXPECT_EQ(f32_to_bf16_bits(kInfinity), 0x7f80);
  for (const u32 nan : {0x7f800001U, 0x7fffffffU, 0xff80ffffU, 0xffffffffU})
    EXPECT_TRUE(std::isnan(bf16_bits_to_f32(f32_to_bf16_bits(bits_f32(nan))))) << nan;
}

TEST(Code, TruncatesWithinRange) {
  EXPECT_EQ(truncate_code(-kInfinity, 15), 0U);
  EXPECT_EQ(truncate_code(-0.5F, 15), 0U);
  EXPECT_EQ(truncate_code(0.99F, 15), 0U);
  EXPECT_EQ(truncate_code(14.99F, 15), 14U);
  EXPECT_EQ(truncate_code(16.5F, 15), 15U);
  EXPECT_EQ(truncate_code(kInfinity, 15), 15U);
  EXPECT_LE(truncate_code(kNan, 15), 15U);
}

TEST(Code, RoundsHalvesAwayFromZero) {
  for (int i = -127; i <= 127; ++i) {
    const auto v = static_cast<float>(i);
    EXPECT_EQ(round_code(v, 127), i);
    EXPECT_EQ(round_code(v + 0.5F, 127), std::min<int>(127, std::lround(v + 0.5F)));
    EXPECT_EQ(round_code(std::nextafter(v + 0.5F, -200.0F), 127), i);
  }
  EXPECT_EQ(round_code(0.49999997F, 127), 0);  // 0.5 added to it gives 1
  EXPECT_EQ(round_code(1e30F, 127), 127);
  EXPECT_EQ(round_code(-kInfinity, 127), -127);
  EXPECT_LE(std::abs(round_code(kNan, 127)), 127);
}

TEST(Code, FindsThePeak) {
  const float mixed[] = {0.5F, -2.0F, 2.0F, 1.0F};
  EXPECT_EQ(peak(mixed, 4), -2.0F);
  for (std::size_t at = 0; at < 4; ++at) {
    float x[] = {1, kInfinity, -kInfinity, 2};
    x[at] = kNan;
    EXPECT_TRUE(std::isnan(peak(x, 4))) << at;
    EXPECT_TRUE(std::isnan(range_of(x, 4).min)) << at;
    EXPECT_TRUE(std::isnan(range_of(x, 4).max)) << at;
  }
  EXPECT_EQ(range_of(mixed, 4).min, -2.0F);
  EXPECT_EQ(range_of(mixed, 4).max, 2.0F);
}

}  // namespace
}  // namespace medlar::formats
