// The emulator itself: what it computes, and that it catches each kind of mistake a kernel can make.
#include <cmath>
#include <string>

#include "base/error.h"
#include "kernels/gpu/common.h"
#include "kernels/gpu/emulator/bind.h"
#include "kernels/gpu/prelude/wgmma.h"
#include "tests/kernels/gpu/harness.h"

// --- kernels for the tests, some of them wrong on purpose
struct TestParams {
  u32 n;
};

// Reverses x (256) through threadgroup memory.
KERNEL(256) reverse(PARAMS(TestParams, p), IN(1, f32, x), OUT(2, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, shared, 256);
  shared[gk_tid] = x[gk_tid];
  tg_barrier();
  y[gk_tid] = shared[255 - gk_tid];
}

KERNEL(256) reverse_without_barrier(PARAMS(TestParams, p), IN(1, f32, x), OUT(2, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, shared, 256);
  shared[gk_tid] = x[gk_tid];
  y[gk_tid] = shared[255 - gk_tid];
}

KERNEL(64) divergent_barrier(PARAMS(TestParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  if (gk_tid < 10) {
    tg_barrier();
  } else {
    tg_barrier();
  }
  y[gk_tid] = 1.f;
}

KERNEL(64) leaves_before_barrier(PARAMS(TestParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  if (gk_tid == p.n) return;
  tg_barrier();
  y[gk_tid] = 1.f;
}

KERNEL(64) divergent_collective(PARAMS(TestParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  if (gk_lane % 2)
    y[gk_tid] = simd_sum(1.f);
  else
    y[gk_tid] = simd_max(1.f);
}

KERNEL(64) collective_of_some_lanes(PARAMS(TestParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  if (gk_lane < p.n) y[gk_tid] = simd_sum(1.f);
}

KERNEL(64) collective_against_barrier(PARAMS(TestParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  if (gk_lane < 7)
    tg_barrier();
  else
    y[gk_tid] = simd_sum(1.f);
}

KERNEL(32) overruns_threadgroup_memory(PARAMS(TestParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, shared, 32);
  shared[gk_tid + p.n] = 1.f;
  y[gk_tid] = shared[gk_tid];
}

KERNEL(32) too_much_threadgroup_memory(PARAMS(TestParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, shared, 9000);
  shared[gk_tid] = 1.f;
  y[gk_tid] = shared[gk_tid];
}

// Copies what an earlier dispatch wrote; too early; or without ever waiting, as GRID_BEGIN does.
KERNEL(64) copies(PARAMS(TestParams, p), IN(1, f32, x), OUT(2, f32, y) GRID) {
  GRID_BEGIN
  y[gk_tid] = x[gk_tid];
}
KERNEL(64) copies_early(PARAMS(TestParams, p), IN(1, f32, x), OUT(2, f32, y) GRID) {
  GRID_BEGIN_EARLY
  const f32 v = x[gk_tid];
  wait_previous();
  y[gk_tid] = v;
}
KERNEL(64) waits_in_some_threads(PARAMS(TestParams, p), IN(1, f32, x), OUT(2, f32, y) GRID) {
  GRID_BEGIN_EARLY
  if (gk_tid < 60) wait_previous();
  y[gk_tid] = x[gk_tid];
}
KERNEL(64) meets_before_it_waits(PARAMS(TestParams, p), IN(1, f32, x), OUT(2, f32, y) GRID) {
  GRID_BEGIN_EARLY
  tg_barrier();
  wait_previous();
  y[gk_tid] = x[gk_tid];
}

// Copies x (3 x 32 words) through a ring of two stages, as a kernel should; without waiting; overwriting what
// other lanes still read; and leaving with a copy on its way.
enum class Ring { right, never_waits, no_fence, leaves };
template <Ring kRing>
FN void copy_by_ring(const DEVICE u8* x, DEVICE u32* y, u32 lane, TGMEM u8* stages, TGMEM u64* flags) {
  ring_begin<2>(flags, lane);
  for (u32 s = 0; s < 2; ++s) ring_fill<1, 128>(flags + s, stages + s * 128, x + s * 128, 0, 1, 128, lane);
  wait_previous();
  for (u32 i = 0; i < (kRing == Ring::leaves ? 2u : 3u); ++i) {
    TGMEM u8* const stage = stages + i % 2 * 128;
    if (kRing != Ring::never_waits) ring_wait<2>(flags + i % 2, i / 2, lane);
    const u32 word = ld_staged_u32(stage + (31 - lane) * 4);
    if (kRing != Ring::no_fence) simd_fence();
    ring_fill<1, 128>(flags + i % 2, stage, x + 256, 0, i == 0, 128, lane);
    y[i * 32 + 31 - lane] = word;
  }
}
#define COPY_BY_RING(NAME, HOW)                                               \
  KERNEL(32) NAME(PARAMS(TestParams, p), IN(1, u8, x), OUT(2, u32, y) GRID) { \
    GRID_BEGIN_EARLY                                                          \
    TGRING(stages, 256);                                                      \
    TGARRAY(u64, flags, 2);                                                   \
    copy_by_ring<HOW>(x, y, gk_lane, stages, flags);                          \
  }
COPY_BY_RING(ring_right, Ring::right)
COPY_BY_RING(ring_never_waits, Ring::never_waits)
COPY_BY_RING(ring_no_fence, Ring::no_fence)
COPY_BY_RING(ring_leaves, Ring::leaves)
// One thread brings y[0..31] by copies, the others wait for each phase; or make a mistake of theirs.
FN void phases(u32 n, DEVICE f32* y, TGMEM u8* stage, TGMEM u64* full, TGMEM u64* empty, u32 tid) {
  if (tid == 0) phase_init(full, 1), phase_init(empty, 1), phases_ready();
  tg_barrier();
  for (u32 i = 0; i < 3; ++i) {
    if (tid == 0) {
      phase_wait(empty, ~i & 1u);
      phase_expect(full, 64);
      if (n == 3) phase_expect(full, 64);
      if (n != 1) bulk_copy(stage, (const DEVICE u8*)(y + 16 * i) + (n == 2 ? 4 : 0), 64, full);
    } else if (tid < 17) {
      phase_wait(full, i & 1u);
      y[1024 + i * 16 + tid - 1] = ((TGMEM f32*)stage)[tid - 1];
    }
    simd_fence();
    if (tid == 1) phase_arrive(empty);
  }
}
KERNEL(32) copies_in_phases(PARAMS(TestParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  TGLARGE(u8, stage);
  TGARRAY(u64, flags, 2);
  phases(p.n, y, stage, flags, flags + 1, gk_tid);
}
KERNEL(32) overruns_large_memory(PARAMS(TestParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  TGLARGE(u8, large);
  if (gk_tid == 0) large[medlar::emulator::kLargeBytes + p.n] = 1;
  y[gk_tid] = 1.f;
}

// Sums what it never set.
KERNEL(32) uninitialised(PARAMS(TestParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, shared, 64);
  if (gk_lane < 31) shared[gk_lane] = 1.f;
  simd_fence();
  f32 sum = 0.f;
  for (u32 i = 0; i < 32; ++i) sum += shared[i];
  y[gk_tid] = sum;
}

// C = A B^T for 16 x 16 f16 tiles, stored as the prelude says; or, wrongly, as one device happens to lay it
// out.
FN void multiply_tile(TGMEM f16* a, TGMEM f16* b, const DEVICE f16* x, u32 lane, THREAD MmaC& c) {
  for (u32 i = lane; i < 256; i += 32) a[i] = x[i], b[i] = x[256 + i];
  tg_barrier();
  MmaA left;
  MmaB right;
  mma_zero(c);
  mma_load_a(left, a, 16, lane);
  mma_load_bt(right, b, 16, lane);
  mma(c, left, right);
}

KERNEL(32) tile_product(PARAMS(TestParams, p), IN(1, f16, x), OUT(2, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f16, a, 256);
  TGARRAY(f16, b, 256);
  MmaC c;
  multiply_tile(a, b, x, gk_lane, c);
  for (u32 e = 0; e < MMA_ELEMS; ++e) y[mma_row(e, gk_lane) * 16 + mma_col(e, gk_lane)] = mma_get(c, e);
}

KERNEL(32) tile_product_assuming_metal(PARAMS(TestParams, p), IN(1, f16, x), OUT(2, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f16, a, 256);
  TGARRAY(f16, b, 256);
  MmaC c;
  multiply_tile(a, b, x, gk_lane, c);
  for (u32 e = 0; e < MMA_ELEMS; ++e) {
    const u32 row = e / 4 * 8 + (gk_lane / 4 & 4) + gk_lane / 2 % 4;
    y[row * 16 + e / 2 % 2 * 8 + (gk_lane / 4 & 2) * 2 + gk_lane % 2 * 2 + e % 2] = mma_get(c, e);
  }
}

namespace medlar::testing {
namespace {

class Emulator : public ::testing::TestWithParam<emulator::MachineOptions> {
 protected:
  template <auto kKernel>
  emulator::LaunchCounts run(u32 threads, u32 n, std::vector<const void*> buffers,
                             emulator::Extent grid = {}) {
    emulator::Machine machine(GetParam());
    const TestParams params{n};
    buffers.insert(buffers.begin(), &params);
    return machine.run({"planted", &emulator::Bound<kKernel>::run, buffers.data(), grid, threads});
  }
  // What the launch is stopped with, or nothing.
  template <auto kKernel>
  std::string fault(u32 threads, u32 n = 0) {
    std::vector<float> y(4096);
    try {
      run<kKernel>(threads, n, {y.data()});
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::device);
      return e.what();
    }
    return {};
  }
  bool reverses(bool with_barrier) {
    std::vector<float> x(256), y(256);
    for (std::size_t i = 0; i < 256; ++i) x[i] = static_cast<float>(i);
    with_barrier ? run<&reverse>(256, 0, {x.data(), y.data()})
                 : run<&reverse_without_barrier>(256, 0, {x.data(), y.data()});
    return std::equal(x.begin(), x.end(), y.rbegin());
  }
  // Whether the kernel's copy is right; what it is stopped with throws.
  template <auto kKernel>
  bool copies_words() {
    std::vector<u32> x(96), y(96);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<u32>(i + 1);
    run<kKernel>(32, 0, {x.data(), y.data()});
    return x == y;
  }
  template <auto kKernel>
  bool multiplies() {
    std::mt19937 random(1);
    std::vector<u16> x(512);
    for (u16& v : x) v = formats::f32_to_f16_bits(static_cast<float>(random() % 17) - 8);
    std::vector<float> y(256);
    run<kKernel>(32, 0, {x.data(), y.data()});
    for (std::size_t i = 0; i < 16; ++i)
      for (std::size_t j = 0; j < 16; ++j) {
        float sum = 0;
        for (std::size_t k = 0; k < 16; ++k)
          sum += formats::f16_bits_to_f32(x[i * 16 + k]) * formats::f16_bits_to_f32(x[256 + j * 16 + k]);
        if (sum != y[i * 16 + j]) return false;
      }
    return true;
  }
};

using ::testing::HasSubstr;

// A kernel that may start early, over memory that an earlier one still has to write: until all wait for it,
// it holds NaN.
template <auto kKernel>
bool copies_after_waiting(const emulator::MachineOptions& options) {
  std::vector<float> x(64, 1.0F), y(64);
  const TestParams params{0};
  const void* args[] = {&params, x.data(), y.data()};
  emulator::Launch launch{"planted", &emulator::Bound<kKernel>::run, args, {3}, 64};
  launch.previous = [&](bool hidden) { std::ranges::fill(x, hidden ? NAN : 1.0F); };
  emulator::Machine(options).run(launch);
  EXPECT_EQ(x[0], 1.0F);
  return y == x;
}

TEST_P(Emulator, KernelsWaitForThoseBefore) { EXPECT_TRUE(copies_after_waiting<&copies>(GetParam())); }
TEST_P(Emulator, ReadingBeforeWaitingGivesWrongResults) {
  EXPECT_FALSE(copies_after_waiting<&copies_early>(GetParam()));
}
TEST_P(Emulator, NamesThreadsThatDoNotWait) {
  for (const auto& [run, what] :
       {std::pair{&copies_after_waiting<&waits_in_some_threads>, "the thread ended before wait_previous()"},
        {&copies_after_waiting<&meets_before_it_waits>, "a barrier before wait_previous()"}}) {
    try {
      run(GetParam());
      ADD_FAILURE() << what;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr(what));
    }
  }
}

TEST_P(Emulator, PhasesOrderCopies) {
  std::vector<float> y(4096);
  for (std::size_t i = 0; i < 48; ++i) y[i] = static_cast<float>(i);
  run<&copies_in_phases>(32, 0, {y.data()});
  EXPECT_TRUE(std::equal(y.begin(), y.begin() + 48, y.begin() + 1024));
}
TEST_P(Emulator, NamesMistakesWithPhases) {
  EXPECT_THAT(fault<&copies_in_phases>(32, 1), HasSubstr("nobody ends the phase waited for in line"));
  EXPECT_THAT(fault<&copies_in_phases>(32, 2), HasSubstr("a copy that is not of whole 16-byte units"));
  EXPECT_THAT(fault<&copies_in_phases>(32, 3), HasSubstr("more arrivals in a phase than it counts"));
}
#if !defined(__SANITIZE_ADDRESS__)  // which reports the access itself
TEST_P(Emulator, NamesOverrunsOfLargeMemory) {
  EXPECT_THAT(fault<&overruns_large_memory>(32, 3), HasSubstr("was written past its end"));
}
#endif

TEST_P(Emulator, BarriersOrderThreadgroupMemory) { EXPECT_TRUE(reverses(true)); }
TEST_P(Emulator, MissingBarrierGivesWrongResults) { EXPECT_FALSE(reverses(false)); }

TEST_P(Emulator, NamesDivergentBarriers) {
  EXPECT_THAT(fault<&divergent_barrier>(64), HasSubstr("divergent barriers: line"));
}

TEST_P(Emulator, NamesThreadsThatLeaveEarly) {
  for (u32 who : {0U, 31U, 63U})
    EXPECT_THAT(fault<&leaves_before_barrier>(64, who),
                ::testing::AnyOf(HasSubstr("ended while others wait at the barrier"),
                                 HasSubstr("after a thread of the group ended")));
  EXPECT_EQ(fault<&leaves_before_barrier>(64, 64), "");
}

TEST_P(Emulator, NamesDivergentCollectives) {
  EXPECT_THAT(fault<&divergent_collective>(64), HasSubstr("divergent collectives: line"));
  EXPECT_THAT(fault<&collective_of_some_lanes>(64, 31), HasSubstr("ended"));
  EXPECT_EQ(fault<&collective_of_some_lanes>(64, 32), "");
  EXPECT_THAT(fault<&collective_against_barrier>(64), HasSubstr("barrier in line"));
}

TEST_P(Emulator, NamesOverrunsOfThreadgroupMemory) {
#if !defined(__SANITIZE_ADDRESS__)  // which reports the access itself, and ends the process
  EXPECT_THAT(fault<&overruns_threadgroup_memory>(32, 1),
              HasSubstr("threadgroup array 0 was written past its end"));
#endif
  EXPECT_EQ(fault<&overruns_threadgroup_memory>(32, 0), "");
  EXPECT_THAT(fault<&too_much_threadgroup_memory>(32), HasSubstr("bytes of threadgroup memory"));
}

TEST_P(Emulator, UninitialisedThreadgroupMemoryIsNan) {
  std::vector<float> y(32);
  run<&uninitialised>(32, 0, {y.data()});
  for (float v : y) EXPECT_TRUE(std::isnan(v));
}

TEST_P(Emulator, RingsBringWhatIsWaitedFor) { EXPECT_TRUE(copies_words<&ring_right>()); }
TEST_P(Emulator, RingsThatAreNotWaitedForAreCaught) {
  for (const auto copies :
       {&Emulator::copies_words<&ring_never_waits>, &Emulator::copies_words<&ring_leaves>}) {
    try {
      (this->*copies)();
      ADD_FAILURE();
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("copies had been waited for"));
    }
  }
}
// Lanes behind the first one find what it has asked for next.
TEST_P(Emulator, RefillingAStageThatIsReadGivesWrongResults) {
  EXPECT_EQ(copies_words<&ring_no_fence>(), GetParam().order == emulator::Order::reverse);
}

TEST_P(Emulator, MultipliesTiles) { EXPECT_TRUE(multiplies<&tile_product>()); }
TEST_P(Emulator, AssumedFragmentLayoutFailsElsewhere) {
  EXPECT_EQ(multiplies<&tile_product_assuming_metal>(),
            GetParam().fragments == emulator::FragmentLayout::metal);
}

TEST_P(Emulator, RunsEveryThreadgroupOnce) {
  std::vector<float> x(256, 1), y(256);
  const auto counts = run<&reverse>(256, 0, {x.data(), y.data()}, {3, 2, 2});
  EXPECT_EQ(counts.barriers, 12U);
  EXPECT_EQ(counts.threadgroup_bytes, 1024U);
}

TEST_P(Emulator, GoesOnAfterAFault) {
  emulator::Machine machine(GetParam());
  std::vector<float> x(256), y(256);
  const TestParams params{0};
  const void* bad[] = {&params, y.data()};
  const void* good[] = {&params, x.data(), y.data()};
  for (int i = 0; i < 3; ++i) {
    EXPECT_THROW(machine.run({"bad", &emulator::Bound<&divergent_barrier>::run, bad, {}, 64}), Error);
    EXPECT_NO_THROW(machine.run({"good", &emulator::Bound<&reverse>::run, good, {}, 256}));
  }
}

MEDLAR_EVERY_ORDER(Emulator);

}  // namespace
}  // namespace medlar::testing
