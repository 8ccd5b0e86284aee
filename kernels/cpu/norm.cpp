// Normalised rows, and activations made ready for products.
#include "kernels/cpu/norm.h"

#include "kernels/cpu/ops.h"
#include "kernels/cpu/quantize.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kGranule = 64;  // columns: whole cache lines

// One part of a vector: normalise, scale, add.
void norm_columns(const RmsNormArgs& a, int64_t vector, Range columns, float scale) {
  const int64_t at = vector * a.dim;
  const F s = splat(scale);
  each(columns, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
    F v = load(a.x + at + i, lanes) * s;
    if (a.weight) v = v * load(a.weight + i, lanes);
    if (a.residual) v = v + load(a.residual + at + i, lanes);
    store(a.y + at + i, v, lanes);
  });
}

// Group g (256 values, fewer at the end) of a row, times `scale` and the norm's weight. to: the row's place.
void prepare_group(const PrepareArgs& a, ActKind kind, int64_t row, int64_t g, float scale, std::byte* to) {
  const int64_t begin = g * kActGroup;
  const int64_t n = least(kActGroup, a.width - begin);
  const float* x = a.x + row * a.width + begin;
  const float* weight = a.norm && a.norm_weight ? a.norm_weight + begin : nullptr;
  alignas(64) float values[kActGroup];
  const bool last = begin + kActGroup >= a.width;
  if (last) memset(values, 0, sizeof values);
  if (a.norm) {
    scale_by({0, n}, x, scale, weight, values);
  } else {
    memcpy(values, x, static_cast<size_t>(n) * sizeof(float));
  }
  switch (kind) {
    case ActKind::f32: {
      const size_t bytes = static_cast<size_t>(last ? (n + 15) / 16 * 16 : n) * sizeof(float);
      memcpy(to + static_cast<size_t>(begin) * sizeof(float), values, bytes);
      break;
    }
    case ActKind::q8:
      quantize(values, reinterpret_cast<Q8Group*>(to) + g);
      break;
  }
}

}  // namespace

// Slices share whole vectors; where there are too few, each computes the norm of all it touches and writes
// its part, which spares a barrier. In place that would be a race.
void rms_norm(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const RmsNormArgs*>(args);
  const int64_t vectors = resolve(a.rows, step) * a.per_row;
  if (vectors >= slice.count || a.y == a.x) {
    const Range mine = share(vectors, 1, slice);
    for (int64_t v = mine.begin; v < mine.end; ++v) {
      norm_columns(a, v, {0, a.dim}, inverse_rms(a.x + v * a.dim, a.dim, a.eps));
    }
    return;
  }
  const Range columns = share(a.dim, kGranule, slice);
  if (columns.size() == 0) return;
  for (int64_t v = 0; v < vectors; ++v)
    norm_columns(a, v, columns, inverse_rms(a.x + v * a.dim, a.dim, a.eps));
}

// As rms_norm: whole rows, or where there are too few, columns.
void layer_norm(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const LayerNormArgs*>(args);
  const int64_t all = resolve(a.rows, step);
  const bool by_row = all >= slice.count;
  const Range rows = by_row ? share(all, 1, slice) : Range{0, all};
  const Range columns = by_row ? Range{0, a.dim} : share(a.dim, kGranule, slice);
  if (columns.size() == 0) return;
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const float* x = a.x + r * a.dim;
    F sums = splat(0.0f), squares = sums;
    each({0, a.dim},
         [&](int64_t i, auto lanes) __attribute__((always_inline)) { sums = sums + load(x + i, lanes); });
    const float mean = sum(sums) / static_cast<float>(a.dim);
    each({0, a.dim}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
      alignas(64) float centred[kLanes] = {};
      store(centred, load(x + i, lanes) - splat(mean), lanes);  // 0 in lanes past the end
      squares = fma(load(centred), load(centred), squares);
    });
    const F scale = splat(1.0f / sqrtf(sum(squares) / static_cast<float>(a.dim) + a.eps));
    each(columns, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
      F v = (load(x + i, lanes) - splat(mean)) * scale * load(a.weight + i, lanes);
      if (a.bias) v = v + load(a.bias + i, lanes);
      store(a.y + r * a.dim + i, v, lanes);
    });
  }
}

void prepare(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const PrepareArgs*>(args);
  const int64_t rows = resolve(a.rows, step);
  const bool batch = in_batch(a.batch, rows);
  if (batch && a.packed) return;
  const ActKind kind = batch ? ActKind::f32 : a.kind;
  const int64_t groups = (a.width + kActGroup - 1) / kActGroup, vectors = rows * a.per_row;
  const bool own = vectors == 1 && a.copy_bytes > 0;
  const Range mine = own ? Range{0, groups} : share(vectors * groups, 1, slice);
  std::byte* y = own ? a.y + slice.index * a.copy_bytes : a.y;
  int64_t row = -1;
  float scale = 1;
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    if (a.norm && i / groups != row) scale = inverse_rms(a.x + i / groups * a.width, a.width, a.eps);
    row = i / groups;
    prepare_group(a, kind, row, i % groups, scale, y + static_cast<size_t>(row) * act_bytes(kind, a.width));
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
