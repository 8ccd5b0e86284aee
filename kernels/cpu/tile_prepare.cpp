// Activations as bf16 tiles for the matrix unit: tokens become columns.
#include "kernels/cpu/activation.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/tile_ops.h"
#include "kernels/cpu/tile_unit.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kStretch = 256;  // values of 16 tokens that a unit of work takes

// Values [k, k + 32) of the tokens [m, m + 16), of which `tokens` exist.
void store_tile(const PrepareArgs& a, int64_t m, int64_t tokens, int64_t k, const float (&scales)[kTile]) {
  const float* weight = a.norm && a.norm_weight ? a.norm_weight + k : nullptr;
  const F low_weight = weight ? load(weight) : splat(1.0f);
  const F high_weight = weight ? load(weight + kLanes) : splat(1.0f);
  I lines[kTile];
  MEDLAR_UNROLL
  for (int64_t t = 0; t < kTile; ++t) {
    lines[t] = splat_int(0);
    if (t >= tokens) continue;
    const float* x = a.x + (m + t) * a.width + k;
    const F scale = splat(scales[t]);
    lines[t] = bf16_pairs(load(x) * scale * low_weight, load(x + kLanes) * scale * high_weight);
  }
  transpose(lines);
  std::byte* to = a.y + (m / kTile * (a.width / kTileDepth) + k / kTileDepth) * kTileBytes;
  MEDLAR_UNROLL
  for (int64_t i = 0; i < kTile; ++i) _mm512_store_si512(to + 64 * i, lines[i]);
}

void prepare_tiles(const PrepareArgs& a, int64_t rows, const Slice& slice) {
  const int64_t stretches = (a.width + kStretch - 1) / kStretch;
  const Range mine = share((rows + kTile - 1) / kTile * stretches, 1, slice);
  float scales[kTile];
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    const int64_t m = i / stretches * kTile, tokens = least(kTile, rows - m);
    if (i == mine.begin || i % stretches == 0) {
      for (int64_t t = 0; t < tokens; ++t)
        scales[t] = a.norm ? inverse_rms(a.x + (m + t) * a.width, a.width, a.eps) : 1.0f;
    }
    const int64_t begin = i % stretches * kStretch;
    for (int64_t k = begin; k < least(a.width, begin + kStretch); k += kTileDepth)
      store_tile(a, m, tokens, k, scales);
  }
}

}  // namespace

void prepare(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const PrepareArgs*>(args);
  const int64_t rows = resolve(a.rows, step);
  if (in_batch(a.batch, rows) && !a.packed) return prepare_tiles(a, rows, slice);
  avx512::prepare(args, step, slice);
}

}  // namespace medlar::kernels::MEDLAR_ISA
