// Products with the matrices of experts. Each slice groups the batch's rows by expert for itself, which costs
// nothing beside a product and spares a barrier; then an expert's rows meet its weights together, and
// only the weights of experts that have rows are read.
#include "kernels/cpu/decode.h"
#include "kernels/cpu/dot.h"
#include "kernels/cpu/ops.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kGranule = 16;          // weight rows: a cache line of one output row
constexpr int64_t kRowChunk = 128;        // activation rows that share what was unpacked of the weights
constexpr int64_t kTileFloats = 1 << 15;  // results of a chunk: 128 KB
constexpr int64_t kMaxColumns = 1024;     // and its weight rows, so that gate and up stay near each other
constexpr int64_t kUnpackRows = 8;  // unpacking a weight row takes as long as this many products with it

size_t whole_lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

// The pairs of a batch, in slice scratch.
struct Pairs {
  int32_t* begin;  // (experts + 1) first pair of each expert
  int32_t* row;    // (pairs)

  static size_t bytes(const Routing& r, int64_t rows) {
    return whole_lines(static_cast<size_t>(r.experts + 1 + rows * r.used) * sizeof(int32_t));
  }

  Pairs(const Routing& r, int64_t rows, std::byte* memory)
      : begin(reinterpret_cast<int32_t*>(memory)), row(begin + r.experts + 1) {
    memset(begin, 0, static_cast<size_t>(r.experts + 1) * sizeof(int32_t));
    each_pair(r, rows, [&](int64_t e, int64_t) { ++begin[e]; });
    int32_t pairs = 0;
    for (int64_t e = 0; e <= r.experts; ++e) {
      const int32_t count = begin[e];
      begin[e] = pairs;
      pairs += count;
    }
    // Each expert's place moves to its end, which is where the next begins.
    each_pair(r, rows, [&](int64_t e, int64_t m) { row[begin[e]++] = static_cast<int32_t>(m); });
    for (int64_t e = r.experts; e > 0; --e) begin[e] = begin[e - 1];
    begin[0] = 0;
  }

  int64_t count(int64_t e) const { return begin[e + 1] - begin[e]; }

 private:
  // By row, then by expert.
  template <class Fn>
  static MEDLAR_INLINE void each_pair(const Routing& r, int64_t rows, Fn fn) {
    for (int64_t m = 0; m < rows; ++m) {
      int64_t left = r.used;
      for (int64_t e = 0; e < r.experts && left > 0; ++e) {
        if (r.weights[m * r.experts + e] == 0.0f) continue;
        fn(e, m);
        --left;
      }
    }
  }
};

// fn(expert, weight rows) for the slice's share of the work on n rows of each expert that is used. Few
// slices meet in one expert, so that few gather the same activations.
template <class Fn>
MEDLAR_INLINE void each_share(const Pairs& pairs, int64_t experts, int64_t n, const Slice& slice, Fn fn) {
  const int64_t granules = (n + kGranule - 1) / kGranule;
  const auto cost = [&](int64_t e) { return pairs.count(e) > 0 ? kUnpackRows + pairs.count(e) : 0; };
  int64_t total = 0;
  for (int64_t e = 0; e < experts; ++e) total += granules * cost(e);
  const Range mine{total * slice.index / slice.count, total * (slice.index + 1) / slice.count};
  int64_t at = 0;
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t c = cost(e);
    if (c == 0) continue;
    // The granules whose work begins within the share.
    const auto first_from = [&](int64_t place) {
      return place <= at ? 0 : least(granules, (place - at + c - 1) / c);
    };
    const Range rows{first_from(mine.begin) * kGranule, least(n, first_from(mine.end) * kGranule)};
    if (rows.size() > 0) fn(e, rows);
    at += granules * c;
  }
}

int64_t chunk_columns(int64_t rows) { return least(kMaxColumns, kTileFloats / rows / kGranule * kGranule); }

int64_t max_rows(const Routing& r, int max_tokens) { return r.rows == RowCount::one ? 1 : max_tokens; }

int64_t tile_floats(int64_t rows) { return least(least(rows, kRowChunk) * kMaxColumns, kTileFloats); }
size_t tile_bytes(int64_t rows) { return static_cast<size_t>(tile_floats(rows)) * sizeof(float); }

size_t dot_scratch(ActKind kind, int64_t rows, bool uniform) {
  return rows < kPanelFrom && !uniform ? 0 : kind == ActKind::f32 ? dot_f32_scratch() : dot_q8_scratch();
}

// Rows `columns` of an expert's matrix (n, k) by `rows` prepared rows, with its bias.
struct Product {
  const ExpertMatrices& matrices;
  int64_t n, k;
  std::span<std::byte> scratch;
  bool uniform;

  void operator()(int64_t expert, Range columns, const std::byte* x, int64_t rows, float* y,
                  int64_t ldy) const {
    const int64_t row_bytes = stored_bytes(matrices.type, k);
    matrices.dot(
        {.weight = static_cast<const std::byte*>(matrices.weight) + (expert * n + columns.begin) * row_bytes,
         .row_bytes = row_bytes,
         .n = columns.size(),
         .k = k,
         .x = x,
         .rows = rows,
         .y = y,
         .ldy = ldy,
         .scratch = scratch,
         .uniform = uniform});
    if (!matrices.bias) return;
    const float* bias = matrices.bias + expert * n + columns.begin;
    for (int64_t i = 0; i < rows; ++i) {
      each({0, columns.size()}, [&](int64_t j, auto lanes) __attribute__((always_inline)) {
        store(y + i * ldy + j, load(y + i * ldy + j, lanes) + load(bias + j, lanes), lanes);
      });
    }
  }
};

// Slice scratch, in the order in which it is taken.
struct Scratch {
  std::span<std::byte> left;

  std::byte* take(size_t bytes) {
    std::byte* p = left.data();
    left = {left.data() + bytes, left.size() - bytes};
    return p;
  }
  float* take_tile(int64_t rows) { return reinterpret_cast<float*>(take(tile_bytes(rows))); }
};

// fn(first row, rows, columns) for the chunks of an expert's rows and of a range of its weights.
template <class Fn>
MEDLAR_INLINE void each_chunk(int64_t count, Range columns, Fn fn) {
  for (int64_t m = 0; m < count; m += kRowChunk) {
    const int64_t rows = least(kRowChunk, count - m), width = chunk_columns(rows);
    for (int64_t j = columns.begin; j < columns.end; j += width)
      fn(m, rows, Range{j, least(columns.end, j + width)});
  }
}

}  // namespace

size_t expert_glu_scratch(const void* args, int max_tokens) {
  const auto& a = *static_cast<const ExpertGluArgs*>(args);
  const int64_t rows = max_rows(a.routing, max_tokens);
  return Pairs::bytes(a.routing, rows) + tile_bytes(rows) +
         static_cast<size_t>(least(rows, kRowChunk)) * act_bytes(a.kind, a.k) +
         dot_scratch(a.kind, rows, a.routing.uniform);
}

void expert_glu(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const ExpertGluArgs*>(args);
  const int64_t rows = resolve(a.routing.rows, step);
  const size_t x_bytes = act_bytes(a.kind, a.k);
  Scratch scratch{slice.scratch};
  const Pairs pairs(a.routing, rows, scratch.take(Pairs::bytes(a.routing, rows)));
  float* ups = scratch.take_tile(rows);
  std::byte* gathered = scratch.take(static_cast<size_t>(least(rows, kRowChunk)) * x_bytes);
  const Product gates{a.gate, a.n, a.k, scratch.left, a.routing.uniform};
  const Product up{a.up, a.n, a.k, scratch.left, a.routing.uniform};
  each_share(pairs, a.routing.experts, a.n, slice, [&](int64_t e, Range columns) {
    const int32_t* rows_of = pairs.row + pairs.begin[e];
    int64_t there = -1;  // the chunk that is gathered
    each_chunk(pairs.count(e), columns, [&](int64_t m, int64_t count, Range part) {
      for (int64_t i = 0; i < count && there != m; ++i)
        memcpy(gathered + static_cast<size_t>(i) * x_bytes,
               a.x + static_cast<size_t>(rows_of[m + i]) * x_bytes, x_bytes);
      there = m;
      float* y = a.y + (pairs.begin[e] + m) * a.n + part.begin;
      gates(e, part, gathered, count, y, a.n);
      up(e, part, gathered, count, ups, part.size());
      for (int64_t i = 0; i < count; ++i)
        gate(a.activation, {0, part.size()}, y + i * a.n, ups + i * part.size(), y + i * a.n);
    });
  });
}

size_t expert_sum_scratch(const void* args, int max_tokens) {
  const auto& a = *static_cast<const ExpertSumArgs*>(args);
  const int64_t rows = max_rows(a.routing, max_tokens);
  return Pairs::bytes(a.routing, rows) + tile_bytes(rows) + dot_scratch(a.kind, rows, a.routing.uniform);
}

// Slices share the columns, so that each adds up its own.
void expert_sum(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const ExpertSumArgs*>(args);
  const int64_t rows = resolve(a.routing.rows, step);
  const Range mine = share(a.n, kGranule, slice);
  if (mine.size() == 0) return;
  Scratch scratch{slice.scratch};
  const Pairs pairs(a.routing, rows, scratch.take(Pairs::bytes(a.routing, rows)));
  float* tile = scratch.take_tile(rows);
  const Product product{a.down, a.n, a.k, scratch.left, a.routing.uniform};
  const auto bytes = static_cast<size_t>(mine.size()) * sizeof(float);
  for (int64_t m = 0; m < rows; ++m) {
    float* y = a.y + m * a.n + mine.begin;
    if (!a.residual) memset(y, 0, bytes);
    if (a.residual && a.residual != a.y) memcpy(y, a.residual + m * a.n + mine.begin, bytes);
  }
  for (int64_t e = 0; e < a.routing.experts; ++e) {
    const int64_t first = pairs.begin[e];
    each_chunk(pairs.count(e), mine, [&](int64_t m, int64_t count, Range part) {
      product(e, part, a.x + static_cast<size_t>(first + m) * act_bytes(a.kind, a.k), count, tile,
              part.size());
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = pairs.row[first + m + i];
        const F weight = splat(a.routing.weights[row * a.routing.experts + e]);
        float* y = a.y + row * a.n + part.begin;
        each({0, part.size()}, [&](int64_t j, auto lanes) __attribute__((always_inline)) {
          store(y + j, fma(weight, load(tile + i * part.size() + j, lanes), load(y + j, lanes)), lanes);
        });
      }
    });
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
