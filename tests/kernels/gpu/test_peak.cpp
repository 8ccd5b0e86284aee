// The kernels that measure what a GPU can do do what they are timed for.
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

class GpuPeak : public OnEmulator {};

// Wherever the one word lies that is not 0, a thread has read it.
TEST_P(GpuPeak, ReadsEveryWord) {
  constexpr u32 kGroups = 2, kRounds = 8, kWords = kRounds * kGroups * 512 * 4;
  for (u32 at : {0U, 1U, 3U, 4 * 512U + 2, 8 * 512U, kWords / 2 + 5, kWords - 1}) {
    auto words = std::make_unique<Guarded<u32>>(kWords);
    (*words)[at] = 77;
    Guarded<u32> found(1);
    launch("read_peak", {kGroups}, gpu::ReadPeakParams{kRounds, kGroups, 77}, {words->data(), found.data()});
    EXPECT_EQ(found[0], 77U) << at;
  }
}

// Every simdgroup has added up `rounds` times the products of two tiles by four.
TEST_P(GpuPeak, MultipliesAsOftenAsItSays) {
  constexpr u32 kSide = 16, kRounds = 3;
  const auto element = [](u32 tile, u32 row, u32 column) {
    return static_cast<double>((tile * kSide * kSide + row * kSide + column) * 37 % 15) / 64;
  };
  double sum = 0;
  for (u32 a = 0; a < 2; ++a)
    for (u32 b = 0; b < 4; ++b)
      for (u32 i = 0; i < kSide; ++i)
        for (u32 j = 0; j < kSide; ++j)
          for (u32 k = 0; k < kSide; ++k) sum += kRounds * element(a, i, k) * element(b, j, k);
  const auto expected = static_cast<float>(sum);  // exact, as are all sums on the way to it
  for (float wanted : {expected, expected + 1}) {
    Guarded<float> found(1);
    launch("product_peak", {2}, gpu::ProductPeakParams{kRounds, wanted}, {found.data()});
    EXPECT_EQ(found[0], wanted == expected ? expected : 0);
  }
}

// Every simdgroup has added up `rounds` times the products of its 16 rows by 256 outputs.
TEST_P(GpuPeak, MultipliesByFourSimdgroupsAsOftenAsItSays) {
  if (!emulator::find_kernel("wgmma_peak")) GTEST_SKIP() << "Metal's text has no such kernel";
  constexpr u32 kColumns = 64, kRounds = 3;
  const auto element = [](u32 row, u32 k) { return static_cast<double>((row * kColumns + k) * 37 % 7) / 64; };
  for (u32 simdgroup = 0; simdgroup < 8; ++simdgroup) {
    double sum = 0;
    for (u32 i = simdgroup * 16; i < simdgroup * 16 + 16; ++i)
      for (u32 j = 128; j < 128 + 256; ++j)
        for (u32 k = 0; k < kColumns; ++k) sum += kRounds * element(i, k) * element(j, k);
    const auto expected = static_cast<float>(sum);  // exact, as are all sums on the way to it
    ASSERT_EQ(expected, sum);
    Guarded<float> found(1);
    launch("wgmma_peak", {2}, gpu::ProductPeakParams{kRounds, expected}, {found.data()});
    EXPECT_EQ(found[0], expected) << simdgroup;
  }
  Guarded<float> found(1);
  launch("wgmma_peak", {2}, gpu::ProductPeakParams{kRounds, -1}, {found.data()});
  EXPECT_EQ(found[0], 0);
}

MEDLAR_EVERY_ORDER(GpuPeak);

}  // namespace
}  // namespace medlar::testing
