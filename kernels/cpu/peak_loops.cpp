// The product loops of one instruction set: the inner loops of dot_panel.cpp and matmul.h on resident data.
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/peak.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kDepth = 96;  // values a round goes through: 24 KB at most
constexpr int64_t kColumns = kTileVectors * kLanes;

struct alignas(64) Operands {
  float a[kTileRows * kDepth], b[kDepth * kColumns], c[kTileRows * kColumns];
};

void f32_products(int64_t rounds) {
  Operands data{};
  for (int64_t i = 0; i < rounds; ++i) {
    multiply(data.a, kDepth, {data.b, kColumns}, {data.c, kColumns},
             {.rows = kTileRows, .columns = kColumns, .depth = kDepth, .accumulate = i > 0});
    // The compiler must take each round for new data.
    __asm__ volatile("" : : "r"(&data) : "memory");
  }
}
constexpr PeakLoop kF32{f32_products, 2 * kTileRows* kColumns* kDepth};

#ifdef MEDLAR_ISA_SCALAR
constexpr PeakLoop kInt8{};
#else
constexpr int kRun = run_steps(32, 15);  // for codes of four bits, which most models have

struct alignas(64) Bytes {
  uint8_t w[kDepth * 2 * kLanes];  // [value / 4][row][4]
  int8_t x[kDotTileRows][kDepth];
  int32_t sums[kDotTileRows][2][kLanes];
};

// A round: every run of products starts from zero, as between the scales of a block.
MEDLAR_INLINE void int8_round(const Bytes& data, I (&sums)[kDotTileRows][2]) {
  for (int64_t k = 0; k < kDepth; k += 4 * kRun) {
    I part[kDotTileRows][2];
    for (auto& row : part) row[0] = row[1] = splat_int(0);
    for (int64_t c = k; c < k + 4 * kRun; c += 4) {
      const uint8_t* w = data.w + c * 2 * kLanes;
      const auto w0 = load_bytes(w), w1 = load_bytes(w + 4 * kLanes);
      for (int r = 0; r < kDotTileRows; ++r) {
        const auto four = splat4(data.x[r] + c);
        part[r][0] = dot4_run<false, kRun>(part[r][0], w0, four);
        part[r][1] = dot4_run<false, kRun>(part[r][1], w1, four);
      }
    }
    for (int r = 0; r < kDotTileRows; ++r) {
      for (int v = 0; v < 2; ++v) sums[r][v] = add_int(sums[r][v], end_run<kRun>(part[r][v]));
    }
  }
}

void int8_products(int64_t rounds) {
  Bytes data{};
  for (int64_t i = 0; i < rounds; ++i) {
    I sums[kDotTileRows][2];
    memcpy(sums, data.sums, sizeof sums);
    int8_round(data, sums);
    memcpy(data.sums, sums, sizeof sums);
    __asm__ volatile("" : : "r"(&data) : "memory");
  }
}
constexpr PeakLoop kInt8{int8_products, 2 * kDotTileRows * 2 * kLanes* kDepth};
#endif

}  // namespace

PeakLoops peak_loops() { return {.int8 = kInt8, .f32 = kF32}; }

}  // namespace medlar::kernels::MEDLAR_ISA
