// The heart of a batch's product: how the codes of a group of weight rows are interleaved, and how a block of
// them is multiplied with a tile of activation rows.
#pragma once

#include "kernels/cpu/panel.h"

namespace medlar::kernels::MEDLAR_ISA {

inline constexpr int64_t kGroupRows = 2 * kLanes;

#if !defined(MEDLAR_ISA_NEON_I8MM)

// [value / 4][row][4]: a vector holds four codes of each of kLanes rows, from row `lane` of the group on.
MEDLAR_INLINE void interleave(const uint8_t (&rows)[kLanes][kPanelDepth], int64_t depth, int64_t lane,
                              uint8_t* codes) {
  for (int64_t k = 0; k < depth; k += 4 * kLanes) {
    I block[kLanes];
    MEDLAR_UNROLL
    for (int i = 0; i < kLanes; ++i) memcpy(&block[i], rows[i] + k, sizeof(I));
    transpose(block);
    MEDLAR_UNROLL
    for (int i = 0; i < kLanes; ++i)
      memcpy(codes + ((k / 4 + i) * kGroupRows + lane) * 4, &block[i], sizeof(I));
  }
}

// The code of value k of each lane's weight row, in vector v of the group.
MEDLAR_INLINE F code_of_rows(const uint8_t* codes, int64_t k, int v) {
  return code_of_lanes(load_bytes(codes + (k / 4 * kGroupRows + v * kLanes) * 4), static_cast<int>(k % 4));
}

// products[r][v]: the sums, for activation row r and each lane's weight row, over kSub values. w: their
// codes; x: the activation rows, of which the values from x_at on are meant. kRun: as run_steps says.
template <int kSub, bool kWide, int kRun, int kRows>
MEDLAR_INLINE void multiply_block(const uint8_t* w, const int8_t* const* x, int64_t x_at,
                                  I (&products)[kRows][2]) {
  for (int run = 0; run < kSub / 4; run += kRun) {
    I part[kRows][2];
    for (int r = 0; r < kRows; ++r) part[r][0] = part[r][1] = splat_int(0);
    for (int c = run; c < run + kRun; ++c) {
      const auto w0 = load_bytes(w + 4 * c * kGroupRows), w1 = load_bytes(w + 4 * (c * kGroupRows + kLanes));
      for (int r = 0; r < kRows; ++r) {
        const auto four = splat4(x[r] + x_at + 4 * c);
        part[r][0] = dot4_run<kWide, kRun>(part[r][0], w0, four);
        part[r][1] = dot4_run<kWide, kRun>(part[r][1], w1, four);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < 2; ++v) {
        const I whole = end_run<kRun>(part[r][v]);
        products[r][v] = run == 0 ? whole : add_int(products[r][v], whole);
      }
    }
  }
}

#else

// [value / 8][row][8]: a vector holds eight codes of each of two rows.
MEDLAR_INLINE void interleave(const uint8_t (&rows)[kLanes][kPanelDepth], int64_t depth, int64_t lane,
                              uint8_t* codes) {
  for (int64_t k = 0; k < depth; k += 8) {
    for (int64_t i = 0; i < kLanes; ++i) memcpy(codes + k * kGroupRows + (lane + i) * 8, rows[i] + k, 8);
  }
}

MEDLAR_INLINE F code_of_rows(const uint8_t* codes, int64_t k, int v) {
  int32_t code[kLanes];
  for (int64_t i = 0; i < kLanes; ++i)
    code[i] = static_cast<int8_t>(codes[k / 8 * 8 * kGroupRows + (v * kLanes + i) * 8 + k % 8]);
  return to_float(vld1q_s32(code));
}

// As above, by products of 2 x 8 with 8 x 2 matrices: two weight rows and two activation rows at a time.
template <int kSub, bool, int, int kRows>
MEDLAR_INLINE void multiply_block(const uint8_t* w, const int8_t* const* x, int64_t x_at,
                                  I (&products)[kRows][2]) {
  constexpr int kPairs = (kRows + 1) / 2;
  I sums[kPairs][4];
  for (auto& pair : sums) {
    for (I& sum : pair) sum = splat_int(0);
  }
  for (int k = 0; k < kSub; k += 8) {
    int8x16_t codes[4];
    for (int i = 0; i < 4; ++i) codes[i] = vreinterpretq_s8_u8(load_bytes(w + k * kGroupRows + 16 * i));
    for (int p = 0; p < kPairs; ++p) {
      const int8_t* second = x[2 * p + 1 < kRows ? 2 * p + 1 : 2 * p];
      const int8x16_t pair = vcombine_s8(vld1_s8(x[2 * p] + x_at + k), vld1_s8(second + x_at + k));
      for (int i = 0; i < 4; ++i) sums[p][i] = vmmlaq_s32(sums[p][i], codes[i], pair);
    }
  }
  for (int p = 0; p < kPairs; ++p) {
    for (int v = 0; v < 2; ++v) {
      products[2 * p][v] = vuzp1q_s32(sums[p][2 * v], sums[p][2 * v + 1]);
      if (2 * p + 1 < kRows) products[2 * p + 1][v] = vuzp2q_s32(sums[p][2 * v], sums[p][2 * v + 1]);
    }
  }
}

#endif

}  // namespace medlar::kernels::MEDLAR_ISA
