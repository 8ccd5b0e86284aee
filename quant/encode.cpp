// Weights of a row's values, and each format's search.
#include "quant/encode.h"

#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "formats/all.h"
#include "quant/lanes.h"

namespace medlar::quant {
namespace {

using namespace formats;  // NOLINT: this file is about their blocks

constexpr Codebook kQ4Codebook{-8, 7};
constexpr Codebook kQ5Codebook{-16, 15};

// ---- what each block's search is

template <class Block>
concept HasAffineShape = requires(const AffineSuperblock& s, Block* b) { pack(s, b); };
template <class Block>
concept HasSymmetricShape = requires(const SymmetricSuperblock& s, Block* b) { pack(s, b); };

constexpr const AffineShape& shape_of(const BlockQ2_K*) { return kQ2_KShape; }
constexpr const AffineShape& shape_of(const BlockQ4_K*) { return kQ4_KShape; }
constexpr const AffineShape& shape_of(const BlockQ5_K*) { return kQ5_KShape; }
constexpr const SymmetricShape& shape_of(const BlockQ3_K*) { return kQ3_KShape; }
constexpr const SymmetricShape& shape_of(const BlockQ6_K*) { return kQ6_KShape; }
constexpr const SymmetricShape& shape_of(const BlockIq4_XS*) { return kIq4_XSShape; }

template <class Block>
  requires HasAffineShape<Block>
void search(Weighted w, const Effort& effort, Block* b) {
  pack(fit_affine(w, shape_of(b), effort), b);
}
template <class Block>
  requires HasSymmetricShape<Block>
void search(Weighted w, const Effort& effort, Block* b) {
  pack(fit_symmetric(w, shape_of(b), effort), b);
}
void search(Weighted w, const Effort& effort, BlockQ4_0* b) {
  const SymmetricBlock s = fit_symmetric_block(w, kQ4Codebook, effort);
  b->d = s.d;
  for (u32 k = 0; k < 16; ++k) set_nibbles(b->codes, k, s.codes[k], s.codes[k + 16]);
}
void search(Weighted w, const Effort& effort, BlockIq4_NL* b) {
  const SymmetricBlock s = fit_symmetric_block(w, kIq4Codebook, effort);
  b->d = s.d;
  for (u32 k = 0; k < 16; ++k) set_nibbles(b->codes, k, s.codes[k], s.codes[k + 16]);
}
void search(Weighted w, const Effort& effort, BlockQ4_1* b) {
  const AffineBlock s = fit_affine_block(w, 15, effort);
  b->d = s.d, b->m = s.m;
  for (u32 k = 0; k < 16; ++k) set_nibbles(b->codes, k, s.codes[k], s.codes[k + 16]);
}
void search(Weighted w, const Effort& effort, BlockQ5_0* b) {
  const SymmetricBlock s = fit_symmetric_block(w, kQ5Codebook, effort);
  *b = {.d = s.d, .high = {}, .codes = {}};
  for (u32 i = 0; i < 32; ++i) set_five_bits(b->codes, b->high, i, s.codes[i]);
}
void search(Weighted w, const Effort& effort, BlockQ5_1* b) {
  const AffineBlock s = fit_affine_block(w, 31, effort);
  *b = {.d = s.d, .m = s.m, .high = {}, .codes = {}};
  for (u32 i = 0; i < 32; ++i) set_five_bits(b->codes, b->high, i, s.codes[i]);
}

double block_error(const BlockMxfp4& b, Weighted w) {
  double error = 0;
  for (u32 i = 0; i < 32; ++i) {
    const double e = static_cast<double>(decode(&b, i)) - static_cast<double>(w.x[i]);
    error += static_cast<double>(w.weight[i]) * e * e;
  }
  return error;
}

// Of the prescribed power of two and its neighbours, the one that fits best.
void search(Weighted w, const Effort&, BlockMxfp4* b) {
  encode(w.x, b);
  const BlockMxfp4 prescribed = *b;
  double least = block_error(prescribed, w);
  for (const int step : {-1, 1}) {
    const int exponent = prescribed.exponent + step;
    if (exponent < 0 || exponent > 253) continue;
    BlockMxfp4 other{.exponent = static_cast<u8>(exponent), .codes = {}};
    const f32 half = half_scale(other.exponent);
    for (u32 k = 0; k < 16; ++k)
      set_nibbles(other.codes, k, nearest_e2m1(half, w.x[k]), nearest_e2m1(half, w.x[k + 16]));
    const double error = block_error(other, w);
    if (error < least) least = error, *b = other;
  }
}

using i32x4 = i32 __attribute__((vector_size(16)));

// What encode() gives, four values at once: rounding to nearest, halves away from zero.
void encode_fast(const f32* x, BlockQ8_0* b) {
  f32x4 peaks{};
  for (u32 i = 0; i < 32; i += kLanes) peaks = most(peaks, most(load(x + i), -load(x + i)));
  const f32 peak = std::max(std::max(peaks[0], peaks[1]), std::max(peaks[2], peaks[3]));
  const f32 d = peak / 127;
  const f32x4 to_code = all(inverse(d));
  b->d = f32_to_f16_bits(d);
  for (u32 i = 0; i < 32; i += kLanes) {
    const f32x4 v = load(x + i) * to_code;
    const f32x4 size = least(most(v, -v), all(127));
    const i32x4 floor = __builtin_convertvector(size, i32x4);
    // A comparison that holds is -1.
    const i32x4 rounded = floor - (size - __builtin_convertvector(floor, f32x4) >= all(0.5F));
    const i32x4 code = v < f32x4{} ? -rounded : rounded;
    for (u32 lane = 0; lane < kLanes; ++lane) b->codes[i + lane] = static_cast<i8>(code[lane]);
  }
}

template <class Block>
concept Searched = requires(Weighted w, const Effort& effort, Block* b) { search(w, effort, b); };

// An error counts by its column, and more in a large value than in a small one: what is known of a column is
// only its mean square, and large weights are those that matter.
void weigh(std::span<const float> x, std::span<const float> columns, float* weight) {
  f32x4 squares{};
  const std::size_t n = x.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < n; i += kLanes) squares += load(&x[i]) * load(&x[i]);
  const auto mean = static_cast<float>(sum(squares) / static_cast<double>(std::max<std::size_t>(1, n)));
  for (std::size_t i = 0; i < x.size(); ++i) weight[i] = std::sqrt(mean + x[i] * x[i]);
  for (std::size_t i = 0; i < columns.size(); ++i) weight[i] *= columns[i];
}

constexpr std::size_t kWeighed = 256;  // values that are weighed beside each other

}  // namespace

void encode_row(DType type, std::span<const float> x, void* blocks, const EncodeOptions& options) {
  visit(type, [&]<Format F>(F) {
    using Block = typename F::Block;
    if constexpr (Searched<Block>) {
      const Effort& effort = options.thorough ? kThorough : kQuick;
      auto* to = static_cast<std::byte*>(blocks);
      std::array<float, kWeighed> weight;
      for (std::size_t at = 0; at < x.size(); at += Block::kLength, to += sizeof(Block)) {
        const std::size_t in = at % kWeighed;
        if (in == 0) {
          const auto some = x.subspan(at, std::min(kWeighed, x.size() - at));
          weigh(some, options.columns.empty() ? options.columns : options.columns.subspan(at, some.size()),
                weight.data());
        }
        Block block;
        search({&x[at], &weight[in]}, effort, &block);
        std::memcpy(to, &block, sizeof block);
      }
    } else if constexpr (std::is_same_v<F, Q8_0>) {
      for (std::size_t k = 0; k < x.size() / 32; ++k) {
        Block block;
        encode_fast(&x[k * 32], &block);
        std::memcpy(static_cast<std::byte*>(blocks) + k * sizeof block, &block, sizeof block);
      }
    } else {
      formats::encode_row(type, x.data(), blocks, std::ssize(x));
    }
  });
}

double weighted_error(DType type, std::span<const float> x, const void* blocks,
                      std::span<const float> columns) {
  std::vector<float> values(x.size()), weight(x.size());
  decode_row(type, blocks, values.data(), std::ssize(x));
  double error = 0;
  for (std::size_t at = 0; at < x.size(); at += kWeighed) {
    const std::size_t n = std::min(kWeighed, x.size() - at);
    weigh(x.subspan(at, n), columns.empty() ? columns : columns.subspan(at, n), &weight[at]);
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = static_cast<double>(values[i]) - static_cast<double>(x[i]);
    error += static_cast<double>(weight[i]) * e * e;
  }
  return error;
}

}  // namespace medlar::quant
