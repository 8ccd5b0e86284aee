// The product loops of one instruction set: the inner loops of dot_panel.cpp and matmul.h on resident data.
#include "kernels/cpu/activation.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/peak.h"
#ifndef MEDLAR_ISA_SCALAR
#include "kernels/cpu/dot_block.h"
#endif

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
constexpr int kRun = run_steps(kActBlock, 15);  // for codes of four bits, which most models have

struct alignas(64) Bytes {
  uint8_t w[kDepth * kGroupRows];
  int8_t x[kDotTileRows][kDepth];
  I sums[kDotTileRows][2];
};

void int8_products(int64_t rounds) {
  Bytes data{};
  const int8_t* x[kDotTileRows];
  for (int r = 0; r < kDotTileRows; ++r) x[r] = data.x[r];
  for (int64_t i = 0; i < rounds; ++i) {
    for (int64_t k = 0; k < kDepth; k += kActBlock) {
      I products[kDotTileRows][2];
      multiply_block<kActBlock, false, kRun>(data.w + k * kGroupRows, x, k, products);
      for (int r = 0; r < kDotTileRows; ++r) {
        for (int v = 0; v < 2; ++v) data.sums[r][v] = add_int(data.sums[r][v], products[r][v]);
      }
    }
    __asm__ volatile("" : : "r"(&data) : "memory");
  }
}
constexpr PeakLoop kInt8{int8_products, 2 * kDotTileRows* kGroupRows* kDepth};
#endif

}  // namespace

PeakLoops peak_loops() { return {.quantized = kInt8, .f32 = kF32}; }

}  // namespace medlar::kernels::MEDLAR_ISA
