// Products of batches on the matrix unit. A strip of weight rows is unpacked to bf16 in the second cache once
// for up to kMaxTokens tokens, a chunk of its depth at a time. Panels of 48 rows by 32 tokens then run
// through the whole chunk with their sums in six tile registers: fed from the second cache this is faster
// than smaller blocks in the first, whose sums would be stored and loaded more often. Weights are the left
// operand, so that a row of theirs is a line of a tile; sums are [weight row][token] until they are finished.
#include "kernels/cpu/activation.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/tile_ops.h"
#include "kernels/cpu/tile_unit.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kWeightTiles = 1024;  // unpacked at a time: 1 MB
constexpr int64_t kMaxChunk = 128;      // of them along the depth
constexpr int64_t kMaxStrip = 16;       // and along the rows
constexpr int64_t kMaxTokens = 512;     // that share what was unpacked
constexpr int64_t kAhead = 2048;        // bytes to prefetch ahead in a row

constexpr int kPanelRows = 3, kPanelTokens = 2;  // in tiles

constexpr int64_t tiles(int64_t n) { return (n + kTile - 1) / kTile; }

// How a product is cut. All in tiles.
struct Cut {
  int64_t depth, chunk, strip;
  int64_t matrices;  // whose strips are unpacked together: gate and up, or one
};

Cut cut_for(const LinearArgs& a) {
  const int64_t depth = a.k / kTileDepth, matrices = a.glu == Activation::none ? 1 : 2;
  const int64_t chunks = (depth + kMaxChunk - 1) / kMaxChunk;
  const int64_t chunk = (depth + chunks - 1) / chunks;
  // Whole blocks of 256.
  const int64_t whole = chunks == 1 ? chunk : (chunk + 7) / 8 * 8;
  return {depth, whole, least(kMaxStrip, kWeightTiles / whole) / matrices, matrices};
}

// The sums of a panel, tile after tile, are kept between chunks.
int64_t sums_tiles(const Cut& cut, int64_t tokens) {
  const int64_t panels = (least(tokens, kMaxTokens) + kPanelTokens * kTile - 1) / (kPanelTokens * kTile);
  return cut.chunk == cut.depth ? 0 : panels * cut.matrices * cut.strip * kPanelTokens;
}

struct Panel {
  const std::byte* weights;  // row tiles `weight_stride` bytes apart
  int64_t weight_stride;
  const std::byte* x;  // token tiles `x_stride` bytes apart
  int64_t x_stride;
  int64_t depth;      // tiles
  const float* from;  // sums so far, or null
  float* to;
};

// Products of a panel's rows and tokens at one depth, in an order that loads each left operand but the last
// once a column.
template <int kRows, int kTokens, int kAt = 0>
MEDLAR_INLINE void multiply_depth(TileUnit& unit, const Panel& p, int64_t offset) {
  constexpr int kColumn = kAt / kRows, kPlace = kAt % kRows;
  constexpr int kRow = kColumn % 2 == 0 ? kPlace : kRows - 1 - kPlace;
  if constexpr (kPlace == 0) unit.load<7>(p.x + kColumn * p.x_stride + offset);
  if constexpr (kPlace != 0 || kColumn == 0) unit.load<6>(p.weights + kRow * p.weight_stride + offset);
  unit.multiply<kRow * kTokens + kColumn, 6, 7>();
  if constexpr (kAt + 1 < kRows * kTokens) multiply_depth<kRows, kTokens, kAt + 1>(unit, p, offset);
}

template <int kTiles, int kAt = 0>
MEDLAR_INLINE void begin_sums(TileUnit& unit, const float* from) {
  if (from) {
    unit.load<kAt>(from + kAt * kTileFloats);
  } else {
    unit.zero<kAt>();
  }
  if constexpr (kAt + 1 < kTiles) begin_sums<kTiles, kAt + 1>(unit, from);
}

template <int kTiles, int kAt = 0>
MEDLAR_INLINE void end_sums(TileUnit& unit, float* to) {
  unit.store<kAt>(to + kAt * kTileFloats);
  if constexpr (kAt + 1 < kTiles) end_sums<kTiles, kAt + 1>(unit, to);
}

template <int kRows, int kTokens>
void multiply_panel(TileUnit& unit, const Panel& p) {
  begin_sums<kRows * kTokens>(unit, p.from);
  for (int64_t k = 0; k < p.depth; ++k) multiply_depth<kRows, kTokens>(unit, p, k * kTileBytes);
  end_sums<kRows * kTokens>(unit, p.to);
}

using PanelFn = void (*)(TileUnit&, const Panel&);
constexpr PanelFn kPanels[kPanelRows][kPanelTokens] = {
    {multiply_panel<1, 1>, multiply_panel<1, 2>},
    {multiply_panel<2, 1>, multiply_panel<2, 2>},
    {multiply_panel<3, 1>, multiply_panel<3, 2>},
};

// The next panel's rows of `left` row tiles: threes, but four are two and two.
constexpr int64_t panel_rows(int64_t left) { return left == 4 ? 2 : least(left, kPanelRows); }

// gate = activation(gate) * up
MEDLAR_INLINE void gate(Activation activation, F (&gates)[kTile], const F (&up)[kTile]) {
  for (int64_t i = 0; i < kTile; ++i) {
    if (activation == Activation::silu) gates[i] = silu(gates[i]);
    if (activation == Activation::gelu) gates[i] = gelu(gates[i]);
    gates[i] = gates[i] * up[i];
  }
}

// Weight rows `j` of the matrices from `first` on, a strip at most, by tokens `m`.
struct Strip {
  int first;
  Range j, m;
};

// A panel in a strip: row tiles [row, row + rows), and token tiles [token, token + tokens) from m.begin on.
struct Place {
  int64_t row, rows, token, tokens;
};

struct Job {
  const LinearArgs& a;
  Cut cut;
  std::byte* weights;  // [matrix][row tile][depth][16 lines]
  float* sums;
  TileUnit& unit;

  // Depth tiles [k.begin, k.end) of the strip's rows; what is missing to whole tiles is 0.
  void unpack(const Strip& s, Range k) const {
    for (int64_t o = 0; o < cut.matrices; ++o) {
      const LinearOut& out = a.out[s.first + o];
      const int64_t row_bytes = stored_bytes(out.type, a.k);
      const auto* from = static_cast<const std::byte*>(out.weight) + s.j.begin * row_bytes +
                         stored_bytes(out.type, k.begin * kTileDepth);
      for (int64_t row = 0; row < tiles(s.j.size()) * kTile; ++row) {
        std::byte* to = strip_row(o, row / kTile) + row % kTile * 64;
        if (row < s.j.size()) {
          out.unpack({.from = from + row * row_bytes,
                      .values = k.size() * kTileDepth,
                      .to = to,
                      .ahead = k.size() == cut.depth ? kAhead : row_bytes});
        } else {
          for (int64_t d = 0; d < k.size(); ++d) memset(to + d * kTileBytes, 0, 64);
        }
      }
    }
  }
  std::byte* strip_row(int64_t matrix, int64_t tile) const {
    return weights + (matrix * cut.strip + tile) * cut.chunk * kTileBytes;
  }

  float* kept_sums(int64_t matrix, const Place& p) const {
    const int64_t panel = p.token / kPanelTokens * cut.matrices + matrix;
    return sums + (panel * cut.strip + p.row) * kPanelTokens * kTileFloats;
  }

  void multiply(const Strip& s) const {
    const int64_t rows = tiles(s.j.size()), tokens = tiles(s.m.size());
    for (int64_t k = 0; k < cut.depth; k += cut.chunk) {
      const Range depth{k, least(cut.depth, k + cut.chunk)};
      unpack(s, depth);
      for (int64_t token = 0; token < tokens; token += kPanelTokens) {
        Place p{.row = 0, .rows = 0, .token = token, .tokens = least(kPanelTokens, tokens - token)};
        for (; p.row < rows; p.row += p.rows) {
          p.rows = panel_rows(rows - p.row);
          multiply_panel(s, p, depth);
        }
      }
    }
  }

  void multiply_panel(const Strip& s, const Place& p, Range depth) const {
    alignas(64) float results[2][kPanelRows * kPanelTokens * kTileFloats];
    const std::byte* x = a.x + ((s.m.begin / kTile + p.token) * cut.depth + depth.begin) * kTileBytes;
    const bool last = depth.end == cut.depth;
    for (int64_t o = 0; o < cut.matrices; ++o) {
      float* kept = kept_sums(o, p);
      kPanels[p.rows - 1][p.tokens - 1](unit, {.weights = strip_row(o, p.row),
                                               .weight_stride = cut.chunk * kTileBytes,
                                               .x = x,
                                               .x_stride = cut.depth * kTileBytes,
                                               .depth = depth.size(),
                                               .from = depth.begin == 0 ? nullptr : kept,
                                               .to = last ? results[o] : kept});
    }
    if (!last) return;
    for (int64_t i = 0; i < p.rows * p.tokens; ++i) {
      const int64_t j = s.j.begin + (p.row + i / p.tokens) * kTile,
                    m = s.m.begin + (p.token + i % p.tokens) * kTile;
      finish(s.first, {j, least(j + kTile, s.j.end)}, {m, least(m + kTile, s.m.end)},
             results[0] + i * kTileFloats, results[1] + i * kTileFloats);
    }
  }

  // A tile of sums with bias, gate and residual to y.
  void finish(int first, Range j, Range m, const float* sums_of_first, const float* ups) const {
    const LinearOut& out = a.out[first];
    F v[kTile];
    MEDLAR_UNROLL
    for (int64_t i = 0; i < kTile; ++i) v[i] = load(sums_of_first + i * kTile);
    if (out.bias) add_bias(out.bias, j, v);
    if (a.glu != Activation::none) {
      F up[kTile];
      MEDLAR_UNROLL
      for (int64_t i = 0; i < kTile; ++i) up[i] = load(ups + i * kTile);
      if (a.out[first + 1].bias) add_bias(a.out[first + 1].bias, j, up);
      gate(a.glu, v, up);
    }
    transpose(v);
    const Some columns{static_cast<int>(j.size())};
    for (int64_t t = 0; t < m.size(); ++t) {
      const int64_t at = (m.begin + t) * out.n + j.begin;
      store(out.y + at, out.residual ? v[t] + load(out.residual + at, columns) : v[t], columns);
    }
  }

  static void add_bias(const float* bias, Range j, F (&v)[kTile]) {
    for (int64_t i = 0; i < j.size(); ++i) v[i] = v[i] + splat(bias[j.begin + i]);
  }
};

}  // namespace

size_t linear_scratch(const void* args, int max_tokens) {
  const size_t vectors = avx512::linear_scratch(args, max_tokens);
  const auto& a = *static_cast<const LinearArgs*>(args);
  if (!a.tiles || a.rows == RowCount::one || max_tokens < kTilesFrom) return vectors;
  const auto with_tiles =
      static_cast<size_t>((kWeightTiles + sums_tiles(cut_for(a), max_tokens)) * kTileBytes);
  return vectors < with_tiles ? with_tiles : vectors;
}

void linear(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const LinearArgs*>(args);
  const int64_t rows = resolve(a.rows, step);
  if (!a.tiles || rows < kTilesFrom) return avx512::linear(args, step, slice);
  TileUnit unit;
  const Cut cut = cut_for(a);
  const Job job{a, cut, slice.scratch.data(),
                reinterpret_cast<float*>(slice.scratch.data() + kWeightTiles * kTileBytes), unit};
  for (int first = 0; first < a.outs; first += static_cast<int>(cut.matrices)) {
    const Range mine = share(a.out[first].n, kTile, slice);
    for (int64_t m = 0; m < rows; m += kMaxTokens) {
      for (int64_t j = mine.begin; j < mine.end; j += cut.strip * kTile) {
        job.multiply({first, {j, least(mine.end, j + cut.strip * kTile)}, {m, least(rows, m + kMaxTokens)}});
      }
    }
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
