// Attention of batches on the matrix unit, with the online softmax of attention.cpp. Everything is
// transposed: keys are the left operand and queries the right one, so that logits are [key][query], a vector
// holds 16 queries, and maxima and sums over keys need nothing across lanes. Probabilities are then the right
// operand of the product with values, whose sums are [value][query].
#include "kernels/cpu/kv.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/seen_keys.h"
#include "kernels/cpu/tile_ops.h"
#include "kernels/cpu/tile_panel.h"
#include "kernels/cpu/turns.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kMaxRows = 256;        // query rows (tokens x heads) of a block
constexpr int64_t kMaxBlockTokens = 64;  // tokens of a block
constexpr int64_t kLeastRows = 16;       // for which tiles pay
constexpr int64_t kKeyTiles = kPageTokens / kTile;
constexpr float kNoLogit = -1e30f;  // below every logit, yet finite: 2^(-inf - kNoLogit) is 0
constexpr float kLog2E = 1.44269504f;

constexpr int64_t deep(int64_t n) { return (n + kTileDepth - 1) / kTileDepth; }

// Tokens [begin, end) of the batch at consecutive positions of one sequence.
struct TokenBlock {
  int64_t begin, end;
};

TokenBlock block_at(const Step& step, int64_t begin, int64_t most) {
  int64_t end = begin + 1;
  while (end < step.tokens && end - begin < most && step.sequences[end] == step.sequences[begin] &&
         step.positions[end] == step.positions[end - 1] + 1) {
    ++end;
  }
  return {begin, end};
}

// Scratch of one thread.
struct Work {
  float* rows;            // (64, dim): decoded keys, values or queries, padded with zeros
  float* scales;          // (64, dim / 32): of q8_0 rows
  std::byte* keys;        // [key tile][depth]: left operand
  std::byte* values;      // [value tile][2]: left operand
  std::byte* q;           // [query tile][depth]: right operand
  float* logits[2];       // [key tile][2][16 keys][16 queries], for powers of 2
  std::byte* weights[2];  // [query tile][2]: probabilities, right operand
  float* out;             // [pair of query tiles][value tile][2][16][16]
  float* top;             // (rows): largest logit so far
  float* total;           // (rows): sum of 2^(logit - top)
  int32_t* position;      // (rows): of the query's token
  size_t bytes;
};

Work lay_out(const AttentionArgs& a, std::byte* base) {
  Work w{};
  const auto take = [&]<class T>(T*& p, int64_t bytes) {
    p = base ? reinterpret_cast<T*>(base + w.bytes) : nullptr;
    w.bytes += static_cast<size_t>((bytes + 63) / 64 * 64);
  };
  const int64_t depth = deep(a.k.dim), value_tiles = tiles(a.v.dim);
  take(w.rows, kPageTokens * greatest(depth * kTileDepth, value_tiles * kTile) * 4);
  take(w.scales, kPageTokens * deep(greatest(a.k.dim, a.v.dim)) * 4);
  take(w.keys, kKeyTiles * depth * kTileBytes);
  take(w.values, value_tiles * 2 * kTileBytes);
  take(w.q, tiles(kMaxRows) * depth * kTileBytes);
  for (int i = 0; i < 2; ++i) take(w.logits[i], kKeyTiles * kPanelColumns * kTileBytes);
  for (int i = 0; i < 2; ++i) take(w.weights[i], kPanelColumns * 2 * kTileBytes);
  take(w.out, tiles(kMaxRows) * value_tiles * kTileBytes);
  take(w.top, kMaxRows * 4);
  take(w.total, kMaxRows * 4);
  take(w.position, kMaxRows * 4);
  return w;
}

// 2^x for x <= 0, to 2^-13; 0 below -150. Probabilities are rounded to bf16, so that more would be lost.
MEDLAR_INLINE F power_of_two(F x) {
  x = larger(splat(-200.0f), x);
  const F n = rounded(x), r = x - n;
  F p = fma(splat(0.05500891f), r, splat(0.24221100f));
  p = fma(p, r, splat(0.69328296f));
  return times_power_of_two(fma(p, r, splat(1.0f)), n);
}

// 16 rows of floats as a tile of columns: line i holds values i and 16 + i of each.
MEDLAR_INLINE void store_columns(const float* rows, int64_t stride, std::byte* to) {
  I lines[kTile];
  MEDLAR_UNROLL
  for (int64_t t = 0; t < kTile; ++t)
    lines[t] = bf16_pairs(load(rows + t * stride), load(rows + t * stride + kTile));
  transpose(lines);
  MEDLAR_UNROLL
  for (int64_t i = 0; i < kTile; ++i) _mm512_store_si512(to + 64 * i, lines[i]);
}

// Rows of a page in scratch: value d of row t, and the 15 after it.
struct FloatRows {
  const float* rows;
  int64_t width;
  MEDLAR_INLINE F at(int64_t t, int64_t d) const { return load(rows + t * width + d); }
};

// The same straight from q8_0 blocks.
struct Q8Rows {
  const std::byte* rows;
  int64_t row_bytes;
  const float* scales;  // (64, blocks)
  int64_t blocks;
  MEDLAR_INLINE F at(int64_t t, int64_t d) const {
    const auto* codes = reinterpret_cast<const int8_t*>(rows + t * row_bytes + d / 32 * 34 + 2 + d % 32);
    return load_i8(codes) * splat(scales[t * blocks + d / 32]);
  }
};

// One block of queries of one KV head against one sequence's cache.
struct Block {
  const AttentionArgs& a;
  const Step& step;
  const Work& w;
  TileUnit& unit;
  TokenBlock tokens;
  int64_t kv_head, group;  // `group` query heads share it
  int64_t run_last;        // position of the sequence's last token in the step

  int64_t depth() const { return deep(a.k.dim); }
  int64_t value_tiles() const { return tiles(a.v.dim); }
  int64_t rows() const { return (tokens.end - tokens.begin) * group; }
  // Of (T, heads): the query in row r.
  int64_t query(int64_t r) const {
    return (tokens.begin + r / group) * a.heads + kv_head * group + r % group;
  }

  // The last key that a token at `position` sees.
  int64_t last_key(int64_t position) const { return MEDLAR_ISA::last_key(a, position, run_last); }

  void run() const {
    load_queries();
    const int64_t first = step.positions[tokens.begin], last = last_key(step.positions[tokens.end - 1]);
    const int64_t from = first_key(a, first);
    for (int64_t page = from / kPageTokens; page <= last / kPageTokens; ++page) {
      const int64_t base = page * kPageTokens;
      const Range keys{greatest(0, from - base), least(kPageTokens, last - base + 1)};
      decode(a.k, page, keys, depth() * kTileDepth, [&](const auto& rows) { pack_keys(rows); });
      decode(a.v, page, keys, value_tiles() * kTile, [&](const auto& rows) { pack_values(rows); });
      if (page < last / kPageTokens) prefetch(page + 1);
      // Some query does not see some of these keys.
      const bool border = keys.size() < kPageTokens || base + kPageTokens - 1 > last_key(first) ||
                          (a.window > 0 && base <= step.positions[tokens.end - 1] - a.window);
      attend(base, border);
    }
    store_results();
  }

  void load_queries() const {
    const int64_t width = depth() * kTileDepth;
    const float scale = a.softcap > 0 ? a.scale : a.scale * kLog2E;
    for (int64_t tile = 0; tile < tiles(rows()); ++tile) {
      memset(w.rows, 0, static_cast<size_t>(kTile * width) * sizeof(float));
      for (int64_t i = 0; i < kTile; ++i) {
        const int64_t r = tile * kTile + i;
        w.top[r] = kNoLogit, w.total[r] = 0, w.position[r] = 0;
        if (r >= rows()) continue;
        const float* q = a.q + query(r) * a.k.dim;
        each({0, a.k.dim}, [&](int64_t d, auto lanes) __attribute__((always_inline)) {
          store(w.rows + i * width + d, load(q + d, lanes) * splat(scale), lanes);
        });
        w.position[r] = step.positions[tokens.begin + r / group];
        if (a.sinks) w.top[r] = a.sinks[kv_head * group + r % group] * kLog2E, w.total[r] = 1;
      }
      for (int64_t d = 0; d < depth(); ++d)
        store_columns(w.rows + d * kTileDepth, width, w.q + (tile * depth() + d) * kTileBytes);
    }
    memset(w.out, 0,
           static_cast<size_t>(tiles(rows()) + 1) / 2 * 2 * static_cast<size_t>(value_tiles() * kTileBytes));
  }

  // Calls use(rows) on the page's positions, where those outside of `keys` and values from dim on are 0.
  template <class Use>
  MEDLAR_INLINE void decode(const KvPages& from, int64_t page, Range keys, int64_t width, Use use) const {
    const std::byte* rows = page_rows(from, step.pages[a.group], step.sequences[tokens.begin], page, kv_head);
    const bool whole = keys.size() == kPageTokens && width == from.dim;
    if (whole && from.type == DType::q8_0) {
      const int64_t blocks = from.dim / 32;
      for (int64_t t = 0; t < kPageTokens; ++t)
        for (int64_t b = 0; b < blocks; ++b)
          w.scales[t * blocks + b] = load_f16_scalar(rows + t * from.row_bytes + b * 34);
      return use(Q8Rows{rows, from.row_bytes, w.scales, blocks});
    }
    if (!whole) memset(w.rows, 0, static_cast<size_t>(kPageTokens * width) * sizeof(float));
    for (int64_t t = keys.begin; t < keys.end; ++t)
      load_kv(from.type, rows + t * from.row_bytes, w.rows + t * width, from.dim);
    use(FloatRows{w.rows, width});
  }

  // Into the second cache, while the current page is worked on.
  void prefetch(int64_t page) const {
    const KvPages* const both[] = {&a.k, &a.v};
    for (const KvPages* pages : both) {
      const std::byte* rows =
          page_rows(*pages, step.pages[a.group], step.sequences[tokens.begin], page, kv_head);
      for (int64_t line = 0; line < kPageTokens * pages->row_bytes; line += 64)
        __builtin_prefetch(rows + line, 0, 2);
    }
  }

  // Line t of a tile holds 32 values of position t.
  template <class Rows>
  void pack_keys(const Rows& rows) const {
    for (int64_t t = 0; t < kPageTokens; ++t) {
      for (int64_t d = 0; d < depth(); ++d)
        _mm512_store_si512(w.keys + (t / kTile * depth() + d) * kTileBytes + t % kTile * 64,
                           bf16_pairs(rows.at(t, d * kTileDepth), rows.at(t, d * kTileDepth + kTile)));
    }
  }

  // Line d of a tile holds value d of 32 positions.
  template <class Rows>
  void pack_values(const Rows& rows) const {
    for (int64_t d = 0; d < value_tiles(); ++d) {
      for (int64_t half = 0; half < 2; ++half) {
        const int64_t t = half * kTileDepth;
        I lines[kTile];
        MEDLAR_UNROLL
        for (int64_t i = 0; i < kTile; ++i)
          lines[i] = bf16_pairs(rows.at(t + i, d * kTile), rows.at(t + kTile + i, d * kTile));
        transpose(lines);
        MEDLAR_UNROLL
        for (int64_t i = 0; i < kTile; ++i)
          _mm512_store_si512(w.values + (2 * d + half) * kTileBytes + 64 * i, lines[i]);
      }
    }
  }

  // A pair of query tiles, or the last tile.
  struct Pair {
    int64_t tile, columns;
    int buffer;  // its logits and weights
  };

  Pair pair_at(int64_t tile) const {
    return {tile, least(kPanelColumns, tiles(rows()) - tile), static_cast<int>(tile / kPanelColumns % 2)};
  }

  // All queries that see something of the page in scratch. The products of one pair are between the
  // exponentials of others: what a tile stores can only be loaded a while later.
  void attend(int64_t base, bool border) const {
    const int64_t count = tiles(rows());
    int64_t tile = 0;
    while (last_key(w.position[least(rows(), (tile + kPanelColumns) * kTile) - 1]) < base)
      tile += kPanelColumns;
    const int64_t begin = tile;
    multiply_keys(pair_at(tile));
    for (; tile < count; tile += kPanelColumns) {
      if (tile + kPanelColumns < count) multiply_keys(pair_at(tile + kPanelColumns));
      soften(pair_at(tile), base, border);
      if (tile > begin) multiply_values(pair_at(tile - kPanelColumns));
    }
    multiply_values(pair_at(tile - kPanelColumns));
  }

  void multiply_keys(Pair p) const {
    multiply_panels(unit, kKeyTiles, p.columns,
                    {.left = w.keys,
                     .left_stride = depth() * kTileBytes,
                     .right = w.q + p.tile * depth() * kTileBytes,
                     .right_stride = depth() * kTileBytes,
                     .depth = depth(),
                     .sums = w.logits[p.buffer],
                     .begins = true});
  }

  void multiply_values(Pair p) const {
    multiply_panels(unit, value_tiles(), p.columns,
                    {.left = w.values,
                     .left_stride = 2 * kTileBytes,
                     .right = w.weights[p.buffer],
                     .right_stride = 2 * kTileBytes,
                     .depth = 2,
                     .sums = sums(p),
                     .begins = false});
  }

  float* sums(Pair p) const { return w.out + p.tile * value_tiles() * kTileFloats; }

  void soften(Pair p, int64_t base, bool border) const {
    for (int64_t c = 0; c < p.columns; ++c) {
      float* logits = w.logits[p.buffer] + c * kTileFloats;
      if (a.softcap > 0) cap(logits, p.columns);
      if (border) mask(logits, p.columns, p.tile + c, base);
      weigh(p, c, logits);
    }
  }

  // Row `key` of a query tile's logits.
  static MEDLAR_INLINE float* row(float* logits, int64_t columns, int64_t key) {
    return logits + key / kTile * columns * kTileFloats + key % kTile * kTile;
  }

  void cap(float* logits, int64_t columns) const {
    const F cap = splat(a.softcap);
    for (int64_t key = 0; key < kPageTokens; ++key) {
      float* at = row(logits, columns, key);
      store(at, splat(kLog2E) * cap * hyperbolic_tangent(load(at) / cap));
    }
  }

  // Keys that a query does not see get -inf.
  void mask(float* logits, int64_t columns, int64_t tile, int64_t base) const {
    const __m512i position = _mm512_loadu_si512(w.position + tile * kTile);
    const auto window = static_cast<int>(a.window > 0 ? a.window : INT32_MAX);
    const int ahead = a.causal ? 0 : window - 1;
    for (int64_t key = 0; key < kPageTokens; ++key) {
      const __m512i behind = _mm512_sub_epi32(position, _mm512_set1_epi32(static_cast<int>(base + key)));
      __mmask16 seen = _mm512_cmpge_epi32_mask(behind, _mm512_set1_epi32(-ahead)) &
                       _mm512_cmplt_epi32_mask(behind, _mm512_set1_epi32(window));
      if (!a.causal && base + key > run_last) seen = 0;
      float* at = row(logits, columns, key);
      store(at, _mm512_mask_blend_ps(seen, splat(-INFINITY), load(at)));
    }
  }

  // Logits of column c to 2^(logit - top) in tiles, and what came before to the new top.
  void weigh(Pair p, int64_t c, const float* logits) const {
    const int64_t columns = p.columns, row = (p.tile + c) * kTile;
    F tops[2] = {load(logits), load(logits + kTile)};
    for (int64_t tile = 0; tile < kKeyTiles; ++tile) {
      const float* at = logits + tile * columns * kTileFloats;
      for (int64_t i = 0; i < kTileFloats; i += 2 * kTile) {
        tops[0] = larger(load(at + i), tops[0]);
        tops[1] = larger(load(at + i + kTile), tops[1]);
      }
    }
    const F before = load(w.top + row);
    const F top = larger(larger(tops[0], tops[1]), before);
    F totals[2] = {splat(0.0f), splat(0.0f)};
    for (int64_t half = 0; half < 2; ++half) {
      const float* at = logits + 2 * half * columns * kTileFloats;
      std::byte* lines = w.weights[p.buffer] + (2 * c + half) * kTileBytes;
      for (int64_t i = 0; i < kTile; ++i) {
        const F low = power_of_two(load(at + i * kTile) - top);
        const F high = power_of_two(load(at + columns * kTileFloats + i * kTile) - top);
        totals[0] = totals[0] + low;
        totals[1] = totals[1] + high;
        _mm512_store_si512(lines + 64 * i, bf16_pairs(low, high));
      }
    }
    const F fade = power_of_two(before - top);
    store(w.top + row, top);
    store(w.total + row, fma(load(w.total + row), fade, totals[0] + totals[1]));
    if (_mm512_cmp_ps_mask(fade, splat(1.0f), _CMP_NEQ_UQ) == 0) return;
    for (int64_t d = 0; d < value_tiles(); ++d) {
      float* at = sums(p) + (d * columns + c) * kTileFloats;
      for (int64_t i = 0; i < kTile; ++i) store(at + i * kTile, load(at + i * kTile) * fade);
    }
  }

  void store_results() const {
    for (int64_t tile = 0; tile < tiles(rows()); ++tile) {
      const int64_t pair = tile / kPanelColumns * kPanelColumns;
      const int64_t columns = least(kPanelColumns, tiles(rows()) - pair);
      const F total = load(w.total + tile * kTile);
      for (int64_t d = 0; d < value_tiles(); ++d) {
        const float* from = w.out + (pair * value_tiles() + d * columns + tile - pair) * kTileFloats;
        F v[kTile];
        MEDLAR_UNROLL
        for (int64_t i = 0; i < kTile; ++i) v[i] = load(from + i * kTile) / total;
        transpose(v);
        const Some lanes{static_cast<int>(least(kTile, a.v.dim - d * kTile))};
        for (int64_t i = 0; i < least(kTile, rows() - tile * kTile); ++i)
          store(a.y + query(tile * kTile + i) * a.v.dim + d * kTile, v[i], lanes);
      }
    }
  }
};

// Queries of a block of tokens are enough for tiles. A sequence that is not causal is not taken apart.
bool pays(const AttentionArgs& a, TokenBlock tokens, int64_t group) {
  return (tokens.end - tokens.begin) * group >= kLeastRows || !a.causal;
}

int64_t most_tokens(int64_t group) { return greatest(1, least(kMaxBlockTokens, kMaxRows / group)); }

// Some block of the step is for the matrix unit.
bool any_tiles(const AttentionArgs& a, const Step& step) {
  const int64_t group = a.heads / a.k.heads;
  if (!a.tiles || group > kMaxRows) return false;
  for (int64_t t = 0; t < step.tokens;) {
    const TokenBlock tokens = block_at(step, t, most_tokens(group));
    if (pays(a, tokens, group)) return true;
    t = tokens.end;
  }
  return false;
}

// Tokens [begin, end), which the matrix unit is not for: beside others, so that no unit is split.
void without_tiles(const AttentionArgs& a, Step step, TokenBlock tokens, const Slice& slice) {
  AttentionArgs part = a;
  part.q += tokens.begin * a.heads * a.k.dim;
  part.y += tokens.begin * a.heads * a.v.dim;
  part.partials = nullptr;
  step.tokens = static_cast<int32_t>(tokens.end - tokens.begin);
  step.positions += tokens.begin;
  step.sequences += tokens.begin;
  avx512::attention(&part, step, slice);
}

}  // namespace

size_t attention_scratch(const void* args, int max_tokens) {
  const auto& a = *static_cast<const AttentionArgs*>(args);
  const size_t vectors = avx512::attention_scratch(args, max_tokens);
  const size_t with_tiles = a.tiles ? lay_out(a, nullptr).bytes : 0;
  return vectors < with_tiles ? with_tiles : vectors;
}

// Blocks with enough rows go to whichever thread is free; runs of others take the vector kernel together.
void attention(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const AttentionArgs*>(args);
  const int64_t group = a.heads / a.k.heads;
  if (!any_tiles(a, step)) return avx512::attention(args, step, slice);
  const Work work = lay_out(a, slice.scratch.data());
  TokenBlock others{0, 0};
  Turns turns(slice);
  for (int64_t t = 0; t < step.tokens;) {
    const TokenBlock tokens = block_at(step, t, most_tokens(group));
    t = tokens.end;
    if (!pays(a, tokens, group)) {
      others.end = tokens.end;
      continue;
    }
    if (others.begin < others.end) without_tiles(a, step, others, slice);
    others = {tokens.end, tokens.end};
    TileUnit tile_unit;
    for (int64_t kv_head = 0; kv_head < a.k.heads; ++kv_head)
      if (turns.next())
        Block{a, step, work, tile_unit, tokens, kv_head, group, last_of_run(step, t - 1)}.run();
  }
  if (others.begin < others.end) without_tiles(a, step, others, slice);
}

void attention_merge(const void* args, const Step& step, const Slice& slice) {
  if (!any_tiles(*static_cast<const AttentionArgs*>(args), step)) avx512::attention_merge(args, step, slice);
}

}  // namespace medlar::kernels::MEDLAR_ISA
