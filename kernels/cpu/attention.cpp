// Attention with an online softmax over pages of keys (Milakov & Gimelshein 2018; Dao et al. 2022), straight
// from the paged cache: a page of keys and values is unpacked once into scratch and serves every query row,
// token times head, of a unit. Caches of codes are multiplied as codes (codes.h), others as f32.
#include "kernels/cpu/attend_split.h"
#include "kernels/cpu/codes.h"
#include "kernels/cpu/kv.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/ops.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr float kNoLogit = -1e30f;  // below every logit, yet finite: exp(-inf - kNoLogit) is 0

constexpr int64_t padded(int64_t n) { return (n + 63) / 64 * 64; }

// Scratch of one thread. Rows are padded to 64 values.
struct Work {
  float* weights;        // (rows, 64): logits, then probabilities
  float* peak;           // (rows): largest probability of the page, before division by the total
  float* out;            // (rows, v dim)
  float* top;            // (rows): largest logit so far
  float* total;          // (rows): sum of exp(logit - top)
  float* q;              // (rows, k dim), scaled
  float* keys;           // (64, k dim): decoded
  float* keys_t;         // (k dim, 64)
  float* values;         // (64, v dim)
  int16_t* queries;      // (rows, k dim): numbers
  float* query_scale;    // (rows)
  int16_t* shares;       // (rows, v dim / 32, 64): probabilities times scales of values, numbers
  int32_t* key_packs;    // (k dim, 64) / kPack
  float* key_scale;      // (k dim / 32, 64)
  int32_t* value_packs;  // (64, v dim) / kPack
  float* value_scale;    // (v dim / 32, 64)
  float* value_top;      // (v dim / 32)
  size_t bytes;
};

Work lay_out(const AttentionArgs& a, std::byte* base) {
  Work w{};
  const auto take = [&]<class T>(T*& p, int64_t count) {
    p = base ? reinterpret_cast<T*>(base + w.bytes) : nullptr;
    w.bytes += static_cast<size_t>(padded(count)) * sizeof(T);
  };
  const int64_t k_dim = padded(a.k.dim), v_dim = padded(a.v.dim);
  take(w.weights, kAttentionRows * kPageTokens);
  take(w.peak, kAttentionRows);
  take(w.out, kAttentionRows * v_dim);
  take(w.top, kAttentionRows);
  take(w.total, kAttentionRows);
  if (has_codes(a.k.type)) {
    take(w.queries, kAttentionRows * k_dim);
    take(w.query_scale, kAttentionRows);
    take(w.key_packs, k_dim * kPageTokens / 2);
    take(w.key_scale, k_dim / 32 * kPageTokens);
  } else {
    take(w.q, kAttentionRows * k_dim);
    take(w.keys, kPageTokens * k_dim);
    take(w.keys_t, kPageTokens * k_dim);
  }
  if (has_codes(a.v.type)) {
    take(w.shares, kAttentionRows * v_dim / 32 * kPageTokens);
    take(w.value_packs, kPageTokens * v_dim / 2);
    take(w.value_scale, v_dim / 32 * kPageTokens);
    take(w.value_top, v_dim / 32);
  } else {
    take(w.values, kPageTokens * v_dim);
  }
  return w;
}

// Some pages of a unit.
struct Block {
  const AttentionArgs& a;
  const Step& step;
  const Work& w;
  const Unit& unit;

  int64_t k_dim() const { return padded(a.k.dim); }
  int64_t v_dim() const { return padded(a.v.dim); }
  int64_t token(int64_t row) const { return unit.begin + row / unit.heads; }
  int64_t head(int64_t row) const { return unit.head + row % unit.heads; }
  int64_t sequence() const { return step.sequences[unit.begin]; }

  void run(Range pages) const {
    const int64_t first = first_key(a, step.positions[unit.begin]);
    const int64_t last = last_key(a, step.positions[unit.end - 1], unit.run_last);
    load_queries();
    start(pages.begin == 0);
    for (int64_t page = unit.first_page + pages.begin; page < unit.first_page + pages.end; ++page) {
      const int64_t base = page * kPageTokens;
      const Range keys{greatest(0, first - base), least(kPageTokens, last - base + 1)};
      const int64_t next = least(page + 1, last / kPageTokens);
      find_logits(page, next, keys);
      for (int64_t r = 0; r < unit.rows(); ++r) soften(r, base, keys);
      add_values(page, next, keys);
    }
  }

  void load_queries() const {
    for (int64_t r = 0; r < unit.rows(); ++r) {
      const float* q = a.q + (token(r) * a.heads + head(r)) * a.k.dim;
#if !defined(MEDLAR_ISA_SCALAR)
      if (has_codes(a.k.type)) {
        w.query_scale[r] = a.scale * to_numbers(q, a.k.dim, w.queries + r * k_dim());
        continue;
      }
#endif
      float* to = w.q + r * k_dim();
      memset(to, 0, static_cast<size_t>(k_dim()) * sizeof(float));
      each({0, a.k.dim}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        store(to + i, load(q + i, lanes) * splat(a.scale), lanes);
      });
    }
  }

  // A sink is part of what the first page begins with.
  void start(bool from_first) const {
    memset(w.out, 0, static_cast<size_t>(unit.rows() * v_dim()) * sizeof(float));
    for (int64_t r = 0; r < unit.rows(); ++r) {
      const bool sink = a.sinks && from_first;
      w.top[r] = sink ? a.sinks[head(r)] : kNoLogit;
      w.total[r] = sink ? 1.0f : 0.0f;
    }
  }

  const std::byte* rows_of(const KvPages& pages, int64_t page) const {
    return page_rows(pages, step.pages[a.group], sequence(), page, unit.kv_head);
  }

  // Of the keys in `keys`; other columns hold anything.
  void find_logits(int64_t page, int64_t next, Range keys) const {
    const std::byte* rows = rows_of(a.k, page);
#if !defined(MEDLAR_ISA_SCALAR)
    if (has_codes(a.k.type)) {
      const KeyPacks packs{w.key_packs, w.key_scale};
      const auto unpack = a.k.type == DType::q8_0 ? unpack_keys<DType::q8_0> : unpack_keys<DType::q4_0>;
      unpack({rows, rows_of(a.k, next), a.k.row_bytes, a.k.dim}, keys, packs);
      multiply_keys({w.queries, k_dim(), unit.rows()}, w.query_scale, packs, a.k.dim, keys, w.weights);
      return;
    }
#endif
    decode_keys(rows, rows_of(a.k, next), keys);
    multiply(w.q, k_dim(), {w.keys_t, kPageTokens}, {w.weights, kPageTokens},
             {.rows = unit.rows(), .columns = kPageTokens, .depth = a.k.dim, .accumulate = false});
  }

  // Transposed; keys not in `keys` are 0.
  void decode_keys(const std::byte* rows, const std::byte* next, Range keys) const {
    memset(w.keys, 0, static_cast<size_t>(kPageTokens * k_dim()) * sizeof(float));
    for (int64_t t = keys.begin; t < keys.end; ++t) {
      prefetch_rows(next, a.k.row_bytes, {t, t + 1});
      load_kv(a.k.type, rows + t * a.k.row_bytes, w.keys + t * k_dim(), a.k.dim);
    }
    for (int64_t t = 0; t < kPageTokens; t += kLanes) {
      for (int64_t d = 0; d < a.k.dim; d += kLanes) {
        F block[kLanes];
        MEDLAR_UNROLL
        for (int i = 0; i < kLanes; ++i) block[i] = load(w.keys + (t + i) * k_dim() + d);
        transpose(block);
        MEDLAR_UNROLL
        for (int i = 0; i < kLanes; ++i) store(w.keys_t + (d + i) * kPageTokens + t, block[i]);
      }
    }
  }

  void add_values(int64_t page, int64_t next, Range keys) const {
    const std::byte* rows = rows_of(a.v, page);
#if !defined(MEDLAR_ISA_SCALAR)
    if (has_codes(a.v.type)) {
      const ValuePacks packs{w.value_packs, v_dim(), w.value_scale, w.value_top};
      const auto unpack = a.v.type == DType::q8_0 ? unpack_values<DType::q8_0> : unpack_values<DType::q4_0>;
      unpack({rows, rows_of(a.v, next), a.v.row_bytes, a.v.dim}, keys, packs);
      const NumberRows shares{w.shares, v_dim() / 32 * kPageTokens, unit.rows()};
      for (int64_t r = 0; r < unit.rows(); ++r)
        weigh(w.weights + r * kPageTokens, w.peak[r], packs, a.v.dim, shares.data + r * shares.stride);
      multiply_values(shares, w.peak, packs, a.v.dim, keys, w.out);
      return;
    }
#endif
    const std::byte* after = rows_of(a.v, next);
    for (int64_t t = keys.begin; t < keys.end; ++t) {
      prefetch_rows(after, a.v.row_bytes, {t, t + 1});
      float* to = w.values + t * v_dim();
      load_kv(a.v.type, rows + t * a.v.row_bytes, to, a.v.dim);
      for (int64_t i = a.v.dim; i < v_dim(); ++i) to[i] = 0.0f;
    }
    multiply(w.weights + keys.begin, kPageTokens, {w.values + keys.begin * v_dim(), v_dim()},
             {w.out, v_dim()},
             {.rows = unit.rows(), .columns = a.v.dim, .depth = keys.size(), .accumulate = true});
  }

  // Logits of row r to exp(logit - top), and what came before to the new top.
  void soften(int64_t r, int64_t base, Range keys) const {
    float* row = w.weights + r * kPageTokens;
    const int64_t position = step.positions[token(r)];
    const int64_t seen_from = greatest(keys.begin, first_key(a, position) - base);
    const int64_t seen_to = least(keys.end, last_key(a, position, unit.run_last) - base + 1);
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
    F total = splat(0.0f), peak = splat(0.0f);
    for (int i = 0; i < kPageTokens; i += kLanes) {
      const F e = exponential(load(row + i) - splat(new_top));
      store(row + i, e);
      total = total + e;
      peak = larger(e, peak);
    }
    const float fade = lane0(exponential(splat(w.top[r] - new_top)));
    w.total[r] = w.total[r] * fade + sum(total);
    w.top[r] = new_top;
    w.peak[r] = largest(peak);
    if (fade == 1.0f) return;
    float* out = w.out + r * v_dim();
    for (int64_t i = 0; i < v_dim(); i += kLanes) store(out + i, load(out + i) * splat(fade));
  }

  // Row r's result: its sum over its total.
  void finish(int64_t r, const float* out, float total) const {
    float* y = a.y + (token(r) * a.heads + head(r)) * a.v.dim;
    const F by = splat(total);
    each({0, a.v.dim}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
      store(y + i, load(out + i, lanes) / by, lanes);
    });
  }

  void leave(const Partial& to) const {
    const auto rows = static_cast<size_t>(unit.rows());
    memcpy(to.top, w.top, rows * sizeof(float));
    memcpy(to.total, w.total, rows * sizeof(float));
    memcpy(to.out, w.out, rows * static_cast<size_t>(v_dim()) * sizeof(float));
  }

  // Row r's result from what the threads left, of which the first began the unit.
  void merge(int64_t r, const Sharing& sharing, int64_t start, Range threads) const {
    const auto each_partial = [&](auto fn) __attribute__((always_inline)) {
      for (int64_t i = threads.begin; i < threads.end; ++i) {
        if (sharing.pages(unit, start, i).size() > 0) fn(partial_of(a, i, i == threads.begin));
      }
    };
    float top = kNoLogit;
    each_partial([&](const Partial& p)
                     __attribute__((always_inline)) { top = p.top[r] > top ? p.top[r] : top; });
    float total = 0;
    memset(w.out, 0, static_cast<size_t>(v_dim()) * sizeof(float));
    each_partial([&](const Partial& p) __attribute__((always_inline)) {
      const float part = lane0(exponential(splat(p.top[r] - top)));
      total += p.total[r] * part;
      for (int64_t i = 0; i < v_dim(); i += kLanes)
        store(w.out + i, fma(load(p.out + r * v_dim() + i), splat(part), load(w.out + i)));
    });
    finish(r, w.out, total);
  }
};

}  // namespace

size_t attention_scratch(const void* args, int) {
  return lay_out(*static_cast<const AttentionArgs*>(args), nullptr).bytes;
}

void attention(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const AttentionArgs*>(args);
  const Work work = lay_out(a, slice.scratch.data());
  const Sharing sharing(a, step, slice.count);
  int64_t start = 0;
  each_unit(a, step, [&](const Unit& unit) {
    const Range pages = sharing.pages(unit, start, slice.index);
    start += unit.pages * unit.page_cost();
    if (pages.size() <= 0) return;
    const Block block{a, step, work, unit};
    block.run(pages);
    if (pages.size() < unit.pages) return block.leave(partial_of(a, slice.index, pages.begin == 0));
    for (int64_t r = 0; r < unit.rows(); ++r) block.finish(r, work.out + r * block.v_dim(), work.total[r]);
  });
}

// Rows go round the threads.
void attention_merge(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const AttentionArgs*>(args);
  const Work work = lay_out(a, slice.scratch.data());
  const Sharing sharing(a, step, slice.count);
  int64_t start = 0, row = 0;
  each_unit(a, step, [&](const Unit& unit) {
    const int64_t last = start + (unit.pages - 1) * unit.page_cost();
    const Range threads{sharing.owner(start), sharing.owner(last) + 1};
    const Block block{a, step, work, unit};
    for (int64_t r = 0; threads.size() > 1 && r < unit.rows(); ++r) {
      if (row++ % slice.count == slice.index) block.merge(r, sharing, start, threads);
    }
    start += unit.pages * unit.page_cost();
  });
}

}  // namespace medlar::kernels::MEDLAR_ISA
