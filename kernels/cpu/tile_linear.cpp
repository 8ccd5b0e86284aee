// Products of batches on the matrix unit. A strip of weight rows is unpacked to bf16 in the second cache once
// for up to kMaxTokens tokens, a chunk of its depth at a time. Panels of 48 rows by 32 tokens then run
// through the whole chunk: fed from the second cache this is faster than smaller blocks in the first, whose
// sums would be stored and loaded more often. Weights are the left operand, so that a row of theirs is a line
// of a tile; sums are [weight row][token] until they are finished.
#include "kernels/cpu/activation.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/tile_ops.h"
#include "kernels/cpu/tile_panel.h"
#include "kernels/cpu/turns.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kWeightTiles = 1024;  // unpacked at a time: 1 MB
constexpr int64_t kMaxChunk = 64;       // of them along the depth
constexpr int64_t kMaxStrip = 16;       // and along the rows
constexpr int64_t kMaxTokens = 512;     // that share what was unpacked
constexpr int64_t kAhead = 2048;        // bytes to prefetch ahead in a row

// How a product is cut. All in tiles.
struct Cut {
  int64_t depth, chunk;
  int64_t strip;     // an even number
  int64_t matrices;  // whose strips are unpacked together: gate and up, or one
};

Cut cut_for(const LinearArgs& a) {
  const int64_t depth = a.k / kTileDepth, matrices = a.glu == Activation::none ? 1 : 2;
  const int64_t chunks = (depth + kMaxChunk - 1) / kMaxChunk;
  const int64_t chunk = (depth + chunks - 1) / chunks;
  // Whole blocks of 256.
  const int64_t whole = chunks == 1 ? chunk : (chunk + 7) / 8 * 8;
  return {depth, whole, least(kMaxStrip, kWeightTiles / whole) / matrices / 2 * 2, matrices};
}

int64_t panels(int64_t tokens) { return (tiles(tokens) + kPanelColumns - 1) / kPanelColumns; }

// Tiles of sums that a thread keeps: of one panel of tokens until it is finished, or of all between chunks.
int64_t sums_tiles(const Cut& cut, int64_t tokens) {
  const int64_t kept = cut.chunk == cut.depth ? 1 : panels(least(tokens, kMaxTokens));
  return kept * cut.matrices * cut.strip * kPanelColumns;
}

// Rows of a strip, at most `most`: so many that each thread has equally many strips of n rows. `pairs`: of
// whole pairs of tiles.
int64_t strip_height(int64_t n, int64_t most, int64_t threads, bool pairs) {
  const int64_t share = (n + threads - 1) / threads, strips = (share + most - 1) / most;
  const int64_t granule = pairs ? kTileDepth : kTile;
  return ((share + strips - 1) / strips + granule - 1) / granule * granule;
}

// gate = activation(gate) * up, or what clamped_silu is.
MEDLAR_INLINE void gate(Activation activation, F (&gates)[kTile], const F (&up)[kTile]) {
  for (int64_t i = 0; i < kTile; ++i) {
    if (activation == Activation::clamped_silu) {
      gates[i] = clamped_silu(gates[i], up[i]);
      continue;
    }
    if (activation == Activation::silu) gates[i] = silu(gates[i]);
    if (activation == Activation::gelu) gates[i] = gelu(gates[i]);
    gates[i] = gates[i] * up[i];
  }
}

// Weight rows `j` of the matrices from `first` on, a strip at most, by tokens `m`.
struct Strip {
  int first;
  Range j, m;
  bool back;  // from the last tokens to the first
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

  // [matrix][row tile][token tile][16 x 16] of a panel of tokens, `token` tiles into the strip's.
  float* sums_of(int64_t token) const {
    const int64_t panel = cut.chunk == cut.depth ? 0 : token / kPanelColumns;
    return sums + panel * cut.matrices * cut.strip * kPanelColumns * kTileFloats;
  }

  void multiply(const Strip& s) const {
    const int64_t tokens = tiles(s.m.size()), last = (tokens - 1) / kPanelColumns * kPanelColumns;
    for (int64_t k = 0; k < cut.depth; k += cut.chunk) {
      const Range depth{k, least(cut.depth, k + cut.chunk)};
      unpack(s, depth);
      for (int64_t i = 0; i < tokens; i += kPanelColumns) {
        const int64_t token = s.back ? last - i : i;
        for (int64_t o = 0; o < cut.matrices; ++o) multiply_panel(s, o, token, depth);
        if (depth.end == cut.depth) finish(s, token);
      }
    }
  }

  void multiply_panel(const Strip& s, int64_t matrix, int64_t token, Range depth) const {
    const int64_t m = s.m.begin / kTile + token;
    multiply_panels(unit, tiles(s.j.size()), least(kPanelColumns, tiles(s.m.end) - m),
                    {.left = strip_row(matrix, 0),
                     .left_stride = cut.chunk * kTileBytes,
                     .right = a.batch_x + (m * cut.depth + depth.begin) * kTileBytes,
                     .right_stride = cut.depth * kTileBytes,
                     .depth = depth.size(),
                     .sums = sums_of(token) + matrix * cut.strip * kPanelColumns * kTileFloats,
                     .begins = depth.begin == 0});
  }

  // A panel of tokens through the whole strip, whose sums are complete.
  void finish(const Strip& s, int64_t token) const {
    const int64_t columns = least(kPanelColumns, tiles(s.m.size()) - token);
    const float* from = sums_of(token);
    for (int64_t row = 0; row < tiles(s.j.size()); row += a.next ? 2 : 1) {
      for (int64_t c = 0; c < columns; ++c) {
        const int64_t j = s.j.begin + row * kTile, m = s.m.begin + (token + c) * kTile;
        const float* at = from + (row * columns + c) * kTileFloats;
        F v[kTile];
        results(s, j, at, v);
        if (a.next) {
          F second[kTile];
          results(s, j + kTile, at + columns * kTileFloats, second);
          std::byte* to =
              a.next + (m / kTile * (a.out[s.first].n / kTileDepth) + j / kTileDepth) * kTileBytes;
          MEDLAR_UNROLL
          for (int64_t i = 0; i < kTile; ++i) _mm512_store_si512(to + 64 * i, bf16_pairs(v[i], second[i]));
        } else {
          store_rows(s, {j, least(j + kTile, s.j.end)}, {m, least(m + kTile, s.m.end)}, v);
        }
      }
    }
  }

  // A tile's sums with bias and gate: a vector of tokens for each of the weight rows from j on.
  MEDLAR_INLINE void results(const Strip& s, int64_t j, const float* from, F (&v)[kTile]) const {
    const int64_t rows = least(kTile, s.j.end - j);
    MEDLAR_UNROLL
    for (int64_t i = 0; i < kTile; ++i) v[i] = load(from + i * kTile);
    add_bias(a.out[s.first].bias, {j, j + rows}, v);
    if (a.glu == Activation::none) return;
    F up[kTile];
    MEDLAR_UNROLL
    for (int64_t i = 0; i < kTile; ++i)
      up[i] = load(from + cut.strip * kPanelColumns * kTileFloats + i * kTile);
    add_bias(a.out[s.first + 1].bias, {j, j + rows}, up);
    gate(a.glu, v, up);
  }

  static MEDLAR_INLINE void add_bias(const float* bias, Range j, F (&v)[kTile]) {
    if (!bias) return;
    for (int64_t i = 0; i < j.size(); ++i) v[i] = v[i] + splat(bias[j.begin + i]);
  }

  // The same as rows of y, with the residual.
  MEDLAR_INLINE void store_rows(const Strip& s, Range j, Range m, F (&v)[kTile]) const {
    const LinearOut& out = a.out[s.first];
    const Some columns{static_cast<int>(j.size())};
    transpose(v);
    for (int64_t t = 0; t < m.size(); ++t) {
      const int64_t at = (m.begin + t) * out.n + j.begin;
      store(out.y + at, out.residual ? v[t] + load(out.residual + at, columns) : v[t], columns);
    }
  }
};

}  // namespace

size_t linear_scratch(const void* args, int max_tokens) {
  const size_t vectors = avx512::linear_scratch(args, max_tokens);
  const auto& a = *static_cast<const LinearArgs*>(args);
  if (a.rows == RowCount::one || !in_batch(a.batch, max_tokens)) return vectors;
  const auto with_tiles =
      static_cast<size_t>((kWeightTiles + sums_tiles(cut_for(a), max_tokens)) * kTileBytes);
  return vectors < with_tiles ? with_tiles : vectors;
}

void linear(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const LinearArgs*>(args);
  const int64_t rows = resolve(a.rows, step);
  if (!in_batch(a.batch, rows)) return avx512::linear(args, step, slice);
  TileUnit unit;
  const Cut cut = cut_for(a);
  const Job job{a, cut, slice.scratch.data(),
                reinterpret_cast<float*>(slice.scratch.data() + kWeightTiles * kTileBytes), unit};
  Turns turns(slice);
  bool back = false;  // every other strip begins with the tokens that the one before has left in the cache
  for (int first = 0; first < a.outs; first += static_cast<int>(cut.matrices)) {
    const int64_t n = a.out[first].n,
                  height = strip_height(n, cut.strip * kTile, slice.count, a.next != nullptr);
    for (int64_t m = 0; m < rows; m += kMaxTokens) {
      for (int64_t j = 0; j < n; j += height) {
        if (!turns.next()) continue;
        job.multiply({first, {j, least(n, j + height)}, {m, least(rows, m + kMaxTokens)}, back});
        back = !back;
      }
    }
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
