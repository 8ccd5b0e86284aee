// Products with weight matrices: each slice takes its rows of every matrix, runs the leaf kernel over them,
// and finishes the results while they are in cache.
#include "kernels/cpu/decode.h"
#include "kernels/cpu/dot.h"
#include "kernels/cpu/ops.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kGranule = 16;           // weight rows: a cache line of one output row
constexpr int64_t kRowChunk = 512;         // activation rows of a chunk that is finished in scratch
constexpr int64_t kTileFloats = 1 << 15;   // such a chunk's results: 128 KB
constexpr int64_t kBatchFloats = 1 << 18;  // ... of LinearOut::batch_dot, which is better at large products
constexpr int64_t kMaxColumns = 1024;      // and its weight rows, so that gate and up stay near each other

// Floats of one chunk's results, at most, with up to `rows` activation rows.
int64_t tile_floats(int64_t rows, bool batch) {
  return least(rows * kMaxColumns, batch ? kBatchFloats : kTileFloats);
}

int64_t chunk_columns(int64_t rows, bool batch) {
  return greatest(kGranule, least(kMaxColumns, tile_floats(rows, batch) / rows / kGranule * kGranule));
}

// Rows [m, m + rows) of x by weight rows [j, j + n).
struct Piece {
  int64_t m, rows, j, n;
};

struct Job {
  const LinearArgs& a;
  bool batch;  // of Batch::floats
  const std::byte* x;
  std::span<std::byte> dot_scratch;

  void multiply(const LinearOut& out, const Piece& p, float* y, int64_t ldy) const {
    const int64_t row_bytes = stored_bytes(out.type, a.k);
    const RowsDotFn dot = batch ? out.batch_dot : out.dot;
    const size_t x_bytes = act_bytes(batch ? ActKind::f32 : a.kind, a.k);
    dot({.weight = static_cast<const std::byte*>(out.weight) + p.j * row_bytes,
         .row_bytes = row_bytes,
         .n = p.n,
         .k = a.k,
         .x = x + static_cast<size_t>(p.m) * x_bytes,
         .rows = p.rows,
         .y = y,
         .ldy = ldy,
         .scratch = dot_scratch,
         .uniform = a.uniform});
  }

  // to = from + bias + residual; `to` may be `from` or the residual.
  void finish(const LinearOut& out, const Piece& p, const float* from, int64_t ld, float* to) const {
    if (from == to && !out.bias && !out.residual) return;
    for (int64_t m = 0; m < p.rows; ++m) {
      const float* residual = out.residual ? out.residual + (p.m + m) * out.n + p.j : nullptr;
      each({0, p.n}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        F v = load(from + m * ld + i, lanes);
        if (out.bias) v = v + load(out.bias + p.j + i, lanes);
        if (residual) v = v + load(residual + i, lanes);
        store(to + m * out.n + i, v, lanes);
      });
    }
  }

  // A matrix by itself: straight into y, unless y holds the residual.
  void plain(const LinearOut& out, const Piece& p, float* tile) const {
    float* y = out.y + p.m * out.n + p.j;
    if (!out.residual) {
      multiply(out, p, y, out.n);
      finish(out, p, y, out.n, y);
    } else {
      multiply(out, p, tile, p.n);
      finish(out, p, tile, p.n, y);
    }
  }

  static void add_bias(const LinearOut& out, const Piece& p, float* tile) {
    if (!out.bias) return;
    for (int64_t m = 0; m < p.rows; ++m) {
      each({0, p.n}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        float* y = tile + m * p.n + i;
        store(y, load(y, lanes) + load(out.bias + p.j + i, lanes), lanes);
      });
    }
  }

  // activation(gate) * up.
  void gated(const Piece& p, float* gates, float* ups) const {
    const LinearOut& first = a.out[0];
    const LinearOut& second = a.out[1];
    multiply(first, p, gates, p.n);
    multiply(second, p, ups, p.n);
    add_bias(first, p, gates);
    add_bias(second, p, ups);
    gate(a.glu, {0, p.rows * p.n}, gates, ups, gates);
    const LinearOut result{.n = first.n, .residual = first.residual};
    finish(result, p, gates, p.n, first.y + p.m * first.n + p.j);
  }
};

size_t tile_bytes(const LinearArgs& a, int64_t rows, bool batch) {
  return static_cast<size_t>(tile_floats(rows, batch)) * sizeof(float) * (a.glu == Activation::none ? 1 : 2);
}

}  // namespace

size_t linear_scratch(const void* args, int max_tokens) {
  const auto& a = *static_cast<const LinearArgs*>(args);
  const int64_t rows = a.rows == RowCount::one ? 1 : max_tokens;
  const size_t few = tile_bytes(a, rows, false) + (rows < kPanelFrom && !a.uniform ? 0
                                                   : a.kind == ActKind::f32        ? dot_f32_scratch()
                                                                                   : dot_q8_scratch());
  if (a.batch != Batch::floats || !in_batch(a.batch, rows)) return few;
  return static_cast<size_t>(greatest(static_cast<int64_t>(few),
                                      static_cast<int64_t>(tile_bytes(a, rows, true)) + kBatchDotScratch));
}

void linear(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const LinearArgs*>(args);
  const int64_t rows = resolve(a.rows, step);
  if (rows == 0) return;
  const bool gated = a.glu != Activation::none, batch = in_batch(a.batch, rows);
  const size_t tiles = tile_bytes(a, rows, batch);
  const std::byte* x = batch ? a.batch_x : rows == 1 ? a.x + slice.index * a.copy_bytes : a.x;
  const Job job{a, batch, x, {slice.scratch.data() + tiles, slice.scratch.size() - tiles}};
  auto* tile = reinterpret_cast<float*>(slice.scratch.data());
  const int64_t chunk = least(rows, kRowChunk);
  for (int o = 0; o < (gated ? 1 : a.outs); ++o) {
    const LinearOut& out = a.out[o];
    const Range mine = share(out.n, kGranule, slice);
    if (!gated && !out.residual) {
      if (mine.size() > 0) job.plain(out, {0, rows, mine.begin, mine.size()}, nullptr);
      continue;
    }
    const int64_t columns = chunk_columns(chunk, batch);
    for (int64_t j = mine.begin; j < mine.end; j += columns) {
      for (int64_t m = 0; m < rows; m += chunk) {
        const Piece piece{m, least(chunk, rows - m), j, least(columns, mine.end - j)};
        if (gated) {
          job.gated(piece, tile, tile + tile_floats(rows, batch));
        } else {
          job.plain(out, piece, tile);
        }
      }
    }
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
