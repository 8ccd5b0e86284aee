// Attention over paged caches of every shape.
#include <algorithm>
#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "formats/all.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/cache.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

namespace {

struct Case {
  std::int64_t heads, kv_heads, k_dim, v_dim;
  std::vector<std::int64_t> counts, starts;  // tokens, and their first position, by sequence
  std::int64_t window;
  float softcap;
  bool sinks;
  bool causal = true;
  bool latent = false;  // values are the first of the keys' rows
};

const Case kCases[] = {
    {4, 4, 64, 64, {1}, {0}, 0, 0, false},                 // the first token
    {9, 3, 64, 64, {1}, {130}, 0, 0, false},               // decode, three heads a KV head
    {4, 1, 256, 256, {1}, {200}, 0, 0, false},             // all heads on one KV head
    {8, 2, 128, 128, {5}, {62}, 0, 0, false},              // over a page's edge
    {6, 2, 96, 96, {33}, {0}, 0, 0, false},                // prefill
    {2, 2, 64, 64, {64}, {64}, 0, 0, false},               // whole pages
    {4, 2, 80, 80, {3, 1, 9}, {0, 70, 127}, 0, 0, false},  // three sequences at once
    {4, 2, 64, 128, {2}, {10}, 0, 0, false},               // values wider than keys
    {4, 2, 64, 64, {9}, {190}, 50, 0, false},              // window
    {4, 1, 64, 64, {40}, {100}, 64, 0, false},             // window, pages gone
    {4, 4, 64, 64, {1, 1}, {300, 5}, 1, 0, false},         // sees only itself
    {4, 2, 64, 64, {7}, {20}, 0, 5, false},                // softcap
    {8, 2, 64, 64, {3}, {66}, 32, 0, true},                // sinks and window
    {70, 1, 32, 32, {2}, {5}, 0, 0, false},                // more heads than a block has rows
    {4, 1, 64, 64, {150}, {100}, 0, 0, false},             // several blocks of a prompt
    {6, 2, 128, 96, {70}, {30}, 40, 8, true},              // all of it at once
    {8, 2, 64, 64, {1, 20, 1, 1, 30, 2}, {9, 50, 70, 3, 0, 64}, 0, 0, false},  // writing and reading together
    {8, 2, 64, 64, {1}, {62}, 0, 0, false},                                    // 63 keys, 64, 65
    {8, 2, 64, 64, {1}, {63}, 0, 0, false},
    {8, 2, 64, 64, {1}, {64}, 0, 0, false},
    {8, 2, 64, 64, {1}, {999}, 0, 0, false},
    {6, 3, 128, 128, {1, 1, 1}, {999, 3, 128}, 0, 0, false},  // contexts of all lengths
    {4, 2, 96, 96, {2}, {65}, 0, 0, false},
    {4, 2, 128, 96, {3}, {127}, 0, 0, false},
    {4, 1, 256, 256, {4}, {190}, 0, 0, false},
    {4, 2, 64, 64, {6}, {300}, 100, 0, false},
    {6, 2, 64, 64, {7}, {61}, 0, 30, true},
    {4, 2, 64, 64, {8}, {700}, 0, 0, true},    // a sink counts once, however keys are split
    {2, 1, 64, 64, {70}, {200}, 0, 0, false},  // several blocks of tokens
    {4, 2, 64, 64, {1, 9, 70, 3}, {0, 0, 0, 0}, 0, 0, false, false},  // whole texts, which see all of
                                                                      // themselves
    {4, 4, 32, 32, {150, 64, 130}, {0, 0, 0}, 0, 0, false, false},
    {3, 1, 64, 64, {150, 5, 20}, {0, 0, 0}, 17, 0, true, false},  // a window to both sides
    {2, 2, 64, 64, {200}, {0}, 100, 5, false, false},
    {16, 1, 576, 512, {1}, {200}, 0, 0, false, true, true},  // one latent vector for all heads
    {4, 1, 96, 64, {40, 1}, {30, 70}, 0, 0, false, true, true},
};

struct Setup {
  Cache k, v;
  Guarded q, sinks;
  AttentionArgs args;
  bool latent = false;
};

double max_abs(const std::vector<float>& v) {
  double top = 0;
  for (const float x : v) top = std::max(top, std::abs(static_cast<double>(x)));
  return top;
}

// Vector sets multiply these caches' codes with numbers of 16 bits.
bool by_codes(Isa isa, DType type) {
  return isa != Isa::scalar && (type == DType::q8_0 || type == DType::q4_0);
}
constexpr double kNumberError = 0.5 / (127 * 256);  // of the largest number of a row

// A logit is off by its dot product's error, d; so each probability by a factor e^2d and the exponential's
// two ulps. Sums over keys go page by page: keys / 64 rescalings and 64 terms over the lanes. Where codes are
// multiplied, d has the error of the query's numbers; and a page's 64 probabilities are each off by
// kNumberError of the page's largest one, which is at most the page's part of the total. With tiles, queries,
// keys, probabilities and values are rounded to bf16.
double bound_of(const Setup& s, const Step& step, Isa isa, std::int64_t t, std::int64_t h) {
  const AttentionArgs& a = s.args;
  const std::int64_t kv_head = h / (a.heads / a.k.heads);
  const std::int64_t position = step.positions[t];
  const std::int64_t first = a.window > 0 ? std::max<std::int64_t>(0, position - a.window + 1) : 0;
  std::int64_t last = position;
  for (std::int64_t i = t; !a.causal && i < step.tokens && step.sequences[i] == step.sequences[t]; ++i)
    last = step.positions[i];
  if (a.window > 0) last = std::min(last, position + a.window - 1);
  const float* q = a.q + (t * a.heads + h) * a.k.dim;
  const double q_error = by_codes(isa, a.k.type) ? kNumberError * max_abs({q, q + a.k.dim}) : 0;
  double logit_error = 0, top_value = 0;
  for (std::int64_t p = first; p <= last; ++p) {
    const std::vector<float> k = s.k.values(step.sequences[t], p, kv_head);
    double magnitude = 0, rounded = 0;
    for (std::size_t i = 0; i < k.size(); ++i) {
      magnitude += std::abs(static_cast<double>(q[i]) * k[i]);
      rounded += q_error * std::abs(k[i]);
    }
    const double steps = static_cast<double>(a.k.dim) + 8;  // one accumulator for each key
    const double relative = steps * kUlp + (a.tiles ? 0x1p-7 : 0);
    logit_error =
        std::max(logit_error, (relative * magnitude + rounded) * std::abs(a.scale) + 8 * kUlp * a.softcap);
    const std::vector<float> v = s.latent ? k : s.v.values(step.sequences[t], p, kv_head);
    top_value = std::max(top_value, max_abs(v));
  }
  // exp(logit - top) of a large difference is off by the difference's rounding.
  const double rounding = 2 * kUlp * 88;
  const double steps = 64 + 4 * static_cast<double>(last - first + 1) / 64 + 16 + lanes(isa);
  const double numbers = by_codes(isa, a.v.type) ? kPageTokens * kNumberError : 0;
  return top_value *
         (std::expm1(2 * logit_error) + rounding + steps * kUlp + numbers + (a.tiles ? 0x1p-7 : 0));
}

Setup make(const Case& c, DType k_type, DType v_type, const Step& step, Rng& rng) {
  const std::int64_t sequences = static_cast<std::int64_t>(c.counts.size());
  std::int64_t positions = 0;
  for (std::size_t s = 0; s < c.counts.size(); ++s)
    positions = std::max(positions, c.starts[s] + c.counts[s]);
  Cache k({k_type, c.kv_heads, c.k_dim}, sequences, positions, rng);
  Cache v({v_type, c.kv_heads, c.v_dim}, k);  // keys and values share page numbers
  for (std::size_t s = 0; s < c.counts.size(); ++s) {
    const auto sequence = static_cast<std::int64_t>(s);
    const std::int64_t from = c.window > 0 ? std::max<std::int64_t>(0, c.starts[s] - c.window + 1) : 0;
    for (Cache* cache : {&k, &v}) {
      cache->fill(sequence, from, c.starts[s] + c.counts[s], rng, 1);
      cache->drop_before(sequence, from);
    }
  }
  return {k,  v,       Guarded(rng.normals(step.tokens * c.heads * c.k_dim)), Guarded(rng.normals(c.heads)),
          {}, c.latent};
}

// The entry of the same table and type for another operation.
const KernelEntry& beside(const KernelEntry& entry, KernelOp op) {
  const std::span<const KernelEntry> table = table_of(entry);
  return *std::ranges::find_if(table,
                               [&](const KernelEntry& e) { return e.op == op && e.type == entry.type; });
}

int check_case(const KernelEntry& entry, const Case& c, DType v_type, bool tiles, Rng& rng) {
  const BatchStep batch(c.counts, c.starts);
  Step step = batch.step;
  Setup s = make(c, entry.type, v_type, step, rng);
  step.pages[1] = s.k.table();
  const std::int64_t n = step.tokens * c.heads * c.v_dim;
  std::vector<float> want(static_cast<std::size_t>(n));
  KvPages values = c.latent ? s.k.pages() : s.v.pages();
  values.dim = c.v_dim;
  s.args = {.q = s.q.floats(),
            .heads = c.heads,
            .k = s.k.pages(),
            .v = values,
            .group = 1,
            .scale = 1 / std::sqrt(static_cast<float>(c.k_dim)),
            .softcap = c.softcap,
            .window = c.window,
            .sinks = c.sinks ? s.sinks.floats() : nullptr,
            .tiles = tiles,
            .y = want.data(),
            .partials = nullptr,
            .causal = c.causal};
  run(ref_entry(KernelOp::attention, entry.type), &s.args, step, 1);
  std::vector<double> bounds;
  for (std::int64_t t = 0; t < step.tokens; ++t) {
    for (std::int64_t h = 0; h < c.heads; ++h) bounds.push_back(bound_of(s, step, entry.isa, t, h));
  }
  const bool split = entry.op == KernelOp::attention_merge;
  const KernelEntry& attention = beside(entry, KernelOp::attention);
  int compared = 0;
  for (const int threads : {1, 2, 3, 5, 16}) {
    const Guarded y(n * 4, 4);
    const Guarded partials(split ? 8 * threads * attention_partial_floats(c.v_dim) : 0, 4);
    s.args.y = y.floats();
    s.args.partials = split ? partials.floats() : nullptr;
    run(attention, &s.args, step, threads);
    if (split) run(entry, &s.args, step, threads);
    EXPECT_TRUE(y.intact() && partials.intact());
    const std::string what =
        "attention, case " + std::to_string(&c - kCases) + ", " + std::to_string(threads) + " threads";
    compared += expect_near(
        y.values(), want, [&](std::size_t i) { return bounds[i / static_cast<std::size_t>(c.v_dim)]; }, what);
    for (const float got : y.values()) EXPECT_TRUE(std::isfinite(got)) << what;
  }
  return compared;
}

}  // namespace

// Of attention alone, units whole; of attention_merge, what it makes of units that attention splits.
int check_attention(const KernelEntry& entry) {
  Rng rng(9);
  int compared = 0;
  for (const Case& c : kCases) {
    for (const DType v_type : {entry.type, DType::f16, DType::q8_0}) {
      const auto fits = [](DType type, std::int64_t dim) {
        return dim % format_info(type).block_length == 0;
      };
      if (!fits(entry.type, c.k_dim) || !fits(v_type, c.v_dim) || (c.latent && v_type != entry.type))
        continue;
      compared += check_case(entry, c, v_type, false, rng);
      if (entry.isa == Isa::amx) compared += check_case(entry, c, v_type, true, rng);
    }
  }
  return compared;
}

}  // namespace medlar::kernels::testing
