// Attention with an online softmax over blocks of keys (Milakov & Gimelshein 2018; Dao et al. 2022), straight
// from the paged cache: a page of keys and values is decoded once into scratch and serves every query that
// sees it, that is a block of consecutive tokens of one sequence times the query heads that share the KV
// head.
#include "kernels/cpu/kv.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/ops.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kMaxRows = 64;         // query rows (tokens x heads) of a block
constexpr int64_t kMaxBlockTokens = 16;  // tokens of a block
constexpr float kNoLogit = -1e30f;       // below every logit, yet finite: exp(-inf - kNoLogit) is 0

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

// How the work is cut: blocks of tokens, times KV heads, times parts of the query heads that share one.
struct Split {
  int64_t block_tokens;
  int64_t group;       // query heads a KV head
  int64_t parts;       // of a group
  int64_t part_heads;  // at most
};

// Few threads share a decoded page; many threads each decode it for fewer heads. A head's products are taken
// to cost half of a page's decoding.
Split split_for(const AttentionArgs& a, const Step& step, int threads) {
  Split split{.block_tokens = 1, .group = a.heads / a.k.heads, .parts = 1, .part_heads = 0};
  split.block_tokens = greatest(1, least(kMaxBlockTokens, kMaxRows / split.group));
  int64_t blocks = 0;
  for (int64_t t = 0; t < step.tokens; t = block_at(step, t, split.block_tokens).end) ++blocks;
  int64_t least_cost = INT64_MAX;
  for (int64_t parts = 1; parts <= split.group; ++parts) {
    const int64_t part_heads = (split.group + parts - 1) / parts;
    if (part_heads > kMaxRows) continue;
    const int64_t rounds = (blocks * a.k.heads * parts + threads - 1) / threads;
    const int64_t cost = rounds * (2 + part_heads);
    if (cost >= least_cost) continue;
    least_cost = cost;
    split.parts = parts;
    split.part_heads = part_heads;
  }
  return split;
}

int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

// Scratch of one thread. All rows are padded to whole vectors.
struct Work {
  float* q;        // (rows, k dim), scaled
  float* keys;     // (64, k dim): decoded
  float* keys_t;   // (k dim, 64)
  float* values;   // (64, v dim)
  float* weights;  // (rows, 64): logits, then probabilities
  float* out;      // (rows, v dim)
  float* top;      // (rows): largest logit so far
  float* total;    // (rows): sum of exp(logit - top)
  size_t bytes;
};

Work lay_out(const AttentionArgs& a, std::byte* base) {
  Work w{};
  const auto take = [&](int64_t floats) {
    auto* p = base ? reinterpret_cast<float*>(base + w.bytes) : nullptr;
    w.bytes += static_cast<size_t>(padded(floats)) * sizeof(float);
    return p;
  };
  const int64_t k_dim = padded(a.k.dim), v_dim = padded(a.v.dim);
  w.q = take(kMaxRows * k_dim);
  w.keys = take(kPageTokens * k_dim);
  w.keys_t = take(kPageTokens * k_dim);
  w.values = take(kPageTokens * v_dim);
  w.weights = take(kMaxRows * kPageTokens);
  w.out = take(kMaxRows * v_dim);
  w.top = take(kMaxRows);
  w.total = take(kMaxRows);
  return w;
}

// One block of queries against one sequence's cache.
struct Block {
  const AttentionArgs& a;
  const Step& step;
  const Work& w;
  TokenBlock tokens;
  int64_t head, heads;  // first query head, and how many
  int64_t kv_head;
  int64_t k_dim, v_dim;  // padded

  int64_t rows() const { return (tokens.end - tokens.begin) * heads; }
  int64_t token(int64_t row) const { return tokens.begin + row / heads; }
  int64_t first_key(int64_t position) const {
    return a.window > 0 ? greatest(0, position - a.window + 1) : 0;
  }

  void run() const {
    load_queries();
    const int64_t sequence = step.sequences[tokens.begin];
    const int64_t first = first_key(step.positions[tokens.begin]);
    const int64_t last = step.positions[tokens.end - 1];
    for (int64_t page = first / kPageTokens; page <= last / kPageTokens; ++page) {
      const int64_t base = page * kPageTokens;
      const Range keys{greatest(0, first - base), least(kPageTokens, last - base + 1)};
      decode_page(sequence, page, keys);
      if (page < last / kPageTokens) prefetch_page(sequence, page + 1);
      multiply(w.q, k_dim, {w.keys_t, kPageTokens}, {w.weights, kPageTokens},
               {.rows = rows(), .columns = kPageTokens, .depth = k_dim, .accumulate = false});
      for (int64_t r = 0; r < rows(); ++r) soften(r, base, keys);
      multiply(w.weights + keys.begin, kPageTokens, {w.values + keys.begin * v_dim, v_dim}, {w.out, v_dim},
               {.rows = rows(), .columns = v_dim, .depth = keys.size(), .accumulate = true});
    }
    store_results();
  }

  void load_queries() const {
    memset(w.q, 0, static_cast<size_t>(rows() * k_dim) * sizeof(float));
    memset(w.out, 0, static_cast<size_t>(rows() * v_dim) * sizeof(float));
    for (int64_t r = 0; r < rows(); ++r) {
      const int64_t h = head + r % heads;
      const float* q = a.q + (token(r) * a.heads + h) * a.k.dim;
      each({0, a.k.dim}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        store(w.q + r * k_dim + i, load(q + i, lanes) * splat(a.scale), lanes);
      });
      w.top[r] = a.sinks ? a.sinks[h] : kNoLogit;
      w.total[r] = a.sinks ? 1.0f : 0.0f;
    }
  }

  // Keys, transposed, and values of the page's positions in `keys`; other keys are 0.
  void decode_page(int64_t sequence, int64_t page, Range keys) const {
    const PageTable& table = step.pages[a.group];
    const std::byte* k = page_rows(a.k, table, sequence, page, kv_head);
    const std::byte* v = page_rows(a.v, table, sequence, page, kv_head);
    if (v_dim != a.v.dim) memset(w.values, 0, static_cast<size_t>(kPageTokens * v_dim) * sizeof(float));
    for (int64_t t = keys.begin; t < keys.end; ++t)
      load_kv(a.v.type, v + t * a.v.row_bytes, w.values + t * v_dim, a.v.dim);
#if !defined(MEDLAR_ISA_SCALAR)
    if (a.k.type == DType::q8_0 && a.k.dim % kChunk == 0 && keys.size() == kPageTokens) {
      for (int64_t t = 0; t < kPageTokens; t += kLanes)
        load_q8_0_transposed(k + t * a.k.row_bytes, a.k.row_bytes, a.k.dim, w.keys_t + t, kPageTokens);
      return;
    }
#endif
    memset(w.keys, 0, static_cast<size_t>(kPageTokens * k_dim) * sizeof(float));
    for (int64_t t = keys.begin; t < keys.end; ++t)
      load_kv(a.k.type, k + t * a.k.row_bytes, w.keys + t * k_dim, a.k.dim);
    for (int64_t t = 0; t < kPageTokens; t += kLanes) {
      for (int64_t d = 0; d < k_dim; d += kLanes) {
        F block[kLanes];
        MEDLAR_UNROLL
        for (int i = 0; i < kLanes; ++i) block[i] = load(w.keys + (t + i) * k_dim + d);
        transpose(block);
        MEDLAR_UNROLL
        for (int i = 0; i < kLanes; ++i) store(w.keys_t + (d + i) * kPageTokens + t, block[i]);
      }
    }
  }

  // Into the second cache, while the current page is worked on.
  void prefetch_page(int64_t sequence, int64_t page) const {
    const KvPages* const both[] = {&a.k, &a.v};
    for (const KvPages* pages : both) {
      const std::byte* rows = page_rows(*pages, step.pages[a.group], sequence, page, kv_head);
      for (int64_t line = 0; line < kPageTokens * pages->row_bytes; line += 64)
        __builtin_prefetch(rows + line, 0, 2);
    }
  }

  // Logits of row r to exp(logit - top), and what came before to the new top.
  void soften(int64_t r, int64_t base, Range keys) const {
    float* row = w.weights + r * kPageTokens;
    const int64_t position = step.positions[token(r)];
    const int64_t seen_from = greatest(keys.begin, first_key(position) - base);
    const int64_t seen_to = least(keys.end, position - base + 1);
    if (a.softcap > 0) {
      const F cap = splat(a.softcap);
      for (int i = 0; i < kPageTokens; i += kLanes) {
        store(row + i, cap * hyperbolic_tangent(load(row + i) / cap));
      }
    }
    for (int64_t i = 0; i < least(seen_from, kPageTokens); ++i) row[i] = -INFINITY;
    for (int64_t i = greatest(seen_to, 0); i < kPageTokens; ++i) row[i] = -INFINITY;

    F top = splat(w.top[r]);
    for (int i = 0; i < kPageTokens; i += kLanes) top = larger(load(row + i), top);
    const float new_top = largest(top);
    F total = splat(0.0f);
    for (int i = 0; i < kPageTokens; i += kLanes) {
      const F e = exponential(load(row + i) - splat(new_top));
      store(row + i, e);
      total = total + e;
    }
    const float fade = lane0(exponential(splat(w.top[r] - new_top)));
    w.total[r] = w.total[r] * fade + sum(total);
    w.top[r] = new_top;
    if (fade == 1.0f) return;
    float* out = w.out + r * v_dim;
    for (int64_t i = 0; i < v_dim; i += kLanes) store(out + i, load(out + i) * splat(fade));
  }

  void store_results() const {
    for (int64_t r = 0; r < rows(); ++r) {
      float* y = a.y + (token(r) * a.heads + head + r % heads) * a.v.dim;
      const F total = splat(w.total[r]);
      each({0, a.v.dim}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        store(y + i, load(w.out + r * v_dim + i, lanes) / total, lanes);
      });
    }
  }
};

}  // namespace

size_t attention_scratch(const void* args, int) {
  return lay_out(*static_cast<const AttentionArgs*>(args), nullptr).bytes;
}

// Units go round the threads, so that each gets early and late tokens alike.
void attention(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const AttentionArgs*>(args);
  const Work work = lay_out(a, slice.scratch.data());
  const Split split = split_for(a, step, slice.count);
  int64_t unit = 0;
  for (int64_t t = 0; t < step.tokens;) {
    const TokenBlock tokens = block_at(step, t, split.block_tokens);
    for (int64_t kv_head = 0; kv_head < a.k.heads; ++kv_head) {
      for (int64_t part = 0; part < split.parts; ++part) {
        if (unit++ % slice.count != slice.index) continue;
        const int64_t begin = split.group * part / split.parts;
        const int64_t end = split.group * (part + 1) / split.parts;
        Block{a,
              step,
              work,
              tokens,
              kv_head * split.group + begin,
              end - begin,
              kv_head,
              padded(a.k.dim),
              padded(a.v.dim)}
            .run();
      }
    }
    t = tokens.end;
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
