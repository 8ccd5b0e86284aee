// Products of few activation rows: each weight row is read once, straight from its blocks, and multiplied
// with kRows rows of int8 activations while its codes are in registers. Reading memory in one long stream,
// one row after the other, with prefetch ahead is what makes this as fast as memory.
#pragma once

#include "kernels/cpu/activation.h"
#include "kernels/cpu/dot.h"
#include "kernels/cpu/weights.h"

namespace medlar::kernels::MEDLAR_ISA {

// Scale and sums of the activations that go with blocks of 32: part of the product with each scale.
template <class W, int kRows>
struct Direct32 {
  F sums[kRows];
  Quad offsets[kRows];  // sums of weight offset * activation sum
  const Q8x32* x[kRows];
  int64_t at = 0;  // value index

  MEDLAR_INLINE Direct32(const std::byte* rows, int64_t x_bytes) {
    for (int r = 0; r < kRows; ++r) {
      sums[r] = splat(0.0f);
      offsets[r] = splat_quad(0.0f);
      x[r] = reinterpret_cast<const Q8x32*>(rows + r * x_bytes);
    }
  }

  template <int kPart>
  MEDLAR_INLINE void part(const std::byte* p, const Quad (&scale)[kRows]) {
    const Codes w = W::template codes<kPart>(p);
    for (int r = 0; r < kRows; ++r) add<kPart, 0>(w, scale[r], r);
  }

  template <int kPart, int kVector>
  MEDLAR_INLINE void add(const Codes& w, Quad scale, int r) {
    constexpr int kBytes = 64 / Codes::kVectors;
    const int8_t* q = x[r][at / kActGroup].q + at % kActGroup + 64 * kPart + kBytes * kVector;
    const F products = to_float(dot4<W::kWide>(splat_int(0), w.v[kVector], load_bytes(q)));
    sums[r] = fma(products, spread<32, 64 * kPart + kBytes * kVector>(scale), sums[r]);
    if constexpr (kVector + 1 < Codes::kVectors) add<kPart, kVector + 1>(w, scale, r);
  }

  // kBlocks blocks: 4, 2, or 1 with a block of zeros behind it.
  template <int kBlocks>
  MEDLAR_INLINE void step(const std::byte* p) {
    const Scales32 w = W::template scales<(kBlocks + 1) / 2 * 2>(p);
    Quad scale[kRows];
    for (int r = 0; r < kRows; ++r) {
      const Q8x32& group = x[r][at / kActGroup];
      const int64_t block = at % kActGroup / 32;
      scale[r] = w.scale * load4<kBlocks>(group.scale + block);
      if constexpr (!W::kWide || kWideOffset != 0) {
        offsets[r] = fma4(w.offset, load4<kBlocks>(group.sum + block), offsets[r]);
      }
    }
    part<0>(p, scale);
    if constexpr (kBlocks > 2) part<1>(p, scale);
    at += 32 * kBlocks;
  }

  MEDLAR_INLINE void row(const std::byte* w, int64_t k) {
    for (; at + W::kStep <= k; w += W::kStepBytes) {
      for (int line = 0; line < W::kStepBytes; line += 64) __builtin_prefetch(w + line + kPrefetchBytes);
      step<4>(w);
    }
    if (at + 64 <= k) {
      step<2>(w);
      w += 2 * W::kBlockBytes;
    }
    if (at < k) {
      alignas(64) std::byte two[2 * W::kBlockBytes] = {};
      memcpy(two, w, W::kBlockBytes);
      step<1>(two);
    }
  }

  MEDLAR_INLINE float result(int r) const { return sum(sums[r]) - sum4(offsets[r]); }
};

// The same for blocks of 256: one activation scale a block, so the sums are scaled block by block.
template <class W, int kRows>
struct Direct256 {
  F sums[kRows];
  const Q8x256* x[kRows];

  MEDLAR_INLINE Direct256(const std::byte* rows, int64_t x_bytes) {
    for (int r = 0; r < kRows; ++r) {
      sums[r] = splat(0.0f);
      x[r] = reinterpret_cast<const Q8x256*>(rows + r * x_bytes);
    }
  }

  static constexpr int kScales = W::kStep / W::kSub;

  template <int kPart, int kVector>
  MEDLAR_INLINE void add(const Codes& w, const Floats<kScales>& scale, const int8_t* q, F& block) {
    constexpr int kBytes = 64 / Codes::kVectors;
    constexpr int kStart = 64 * kPart + kBytes * kVector;
    const F products = to_float(dot4<W::kWide>(splat_int(0), w.v[kVector], load_bytes(q + kStart)));
    block = fma(products, spread<W::kSub, kStart>(scale), block);
    if constexpr (kVector + 1 < Codes::kVectors) add<kPart, kVector + 1>(w, scale, q, block);
  }

  template <int kPart>
  MEDLAR_INLINE void part(const std::byte* p, const Floats<kScales>& scale, int64_t g, F (&blocks)[kRows]) {
    const Codes w = W::template codes<kPart>(p);
    for (int r = 0; r < kRows; ++r) add<kPart, 0>(w, scale, x[r][g].q, blocks[r]);
    if constexpr (kPart < 3) part<kPart + 1>(p, scale, g, blocks);
  }

  MEDLAR_INLINE void row(const std::byte* w, int64_t k) {
    for (int64_t g = 0; g < k / kActGroup; ++g, w += W::kStepBytes) {
      for (int line = 0; line < W::kStepBytes; line += 64) __builtin_prefetch(w + line + kPrefetchBytes);
      const Scales256<kScales> scales = W::scales(w);
      F blocks[kRows];
      for (int r = 0; r < kRows; ++r) {
        blocks[r] = splat(0.0f);
        if constexpr (W::kWide && kWideOffset == 0) continue;
        const int16_t* group_sums = W::kSub == 16 ? x[r][g].sum16 : x[r][g].sum32;
        for (int i = 0; i < Floats<kScales>::kVectors; ++i) {
          blocks[r] = fnma(scales.offset.v[i], load_sums<kScales>(group_sums, i), blocks[r]);
        }
      }
      part<0>(w, scales.scale, g, blocks);
      for (int r = 0; r < kRows; ++r) sums[r] = fma(blocks[r], splat(x[r][g].scale), sums[r]);
    }
  }

  MEDLAR_INLINE float result(int r) const { return sum(sums[r]); }
};

// Every weight row with kRows activation rows from row m on.
template <class Kernel, int kRows>
MEDLAR_INLINE void direct_rows(const RowsDot& a, int64_t x_bytes, int64_t m) {
  for (int64_t j = 0; j < a.n; ++j) {
    Kernel kernel(a.x + m * x_bytes, x_bytes);
    kernel.row(a.weight + j * a.row_bytes, a.k);
    for (int r = 0; r < kRows; ++r) a.y[(m + r) * a.ldy + j] = kernel.result(r);
  }
}

template <class W, template <class, int> class Direct>
void direct(const RowsDot& a) {
  const int64_t x_bytes = (a.k + kActGroup - 1) / kActGroup * static_cast<int64_t>(sizeof(Q8x32));
  int64_t m = 0;
  for (; m + 4 <= a.rows; m += 4) direct_rows<Direct<W, 4>, 4>(a, x_bytes, m);
  switch (a.rows - m) {
    case 3:
      return direct_rows<Direct<W, 3>, 3>(a, x_bytes, m);
    case 2:
      return direct_rows<Direct<W, 2>, 2>(a, x_bytes, m);
    case 1:
      return direct_rows<Direct<W, 1>, 1>(a, x_bytes, m);
    default:
      return;
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
