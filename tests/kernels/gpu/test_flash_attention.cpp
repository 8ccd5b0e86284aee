// Attention over the matrix unit against the reference: every pair of cache formats, decoding and prompts
// with and without a cache, several sequences in a step, page borders, windows, soft caps, sinks, splits
// joined, results as bytes, and values that f16 cannot hold.
#include <cmath>

#include "kernels/ref/ref.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using namespace kernels;  // NOLINT: their references

struct FlashCase {
  std::int64_t heads = 4, kv_heads = 2, k_dim = 64, v_dim = 64;
  float softcap = 0;
  std::int64_t window = 0;
  bool sinks = false;
  u32 splits = 1;
  bool bytes = false, gamma = false;
  bool causal = true;
};

// Tokens first .. first + count - 1 of a sequence.
struct TokenRun {
  i32 sequence, first, count;
};

constexpr std::int64_t kPages = 12;
constexpr i32 kStride = 6;

// Pages in no order; those that a window has left behind hold -1.
TestStep step_of(const std::vector<TokenRun>& runs, std::int64_t window) {
  TestStep s;
  s.stride = kStride;
  s.pages.assign(3 * kStride, -1);
  i32 page = 5;
  for (const TokenRun& run : runs) {
    const i32 begin = window > 0 ? std::max<i32>(0, run.first + 1 - static_cast<i32>(window)) : 0;
    for (i32 p = begin / kPageTokens; p <= (run.first + run.count - 1) / kPageTokens; ++p) {
      i32& at = s.pages[static_cast<std::size_t>(run.sequence * kStride + p)];
      if (at < 0) at = page = (page + 5) % kPages;
    }
    for (i32 t = 0; t < run.count; ++t) {
      s.positions.push_back(run.first + t);
      s.sequences.push_back(run.sequence);
    }
  }
  return s;
}

const std::vector<TokenRun> kDecoding = {{0, 31, 1}, {1, 300, 1}, {2, 64, 1}};
const std::vector<TokenRun> kFew = {{0, 63, 3}, {1, 300, 1}, {2, 0, 2}, {0, 15, 1}};
const std::vector<TokenRun> kTexts = {{1, 0, 70}, {0, 0, 1}, {2, 0, 33}};
const std::vector<TokenRun> kPrompts = {{1, 37, 70}, {0, 0, 1}, {2, 0, 33}};

struct Cache {
  DType k_type, v_type;
  std::vector<std::byte> keys, values;
};

class GpuFlash : public OnEmulator {
 protected:
  void check(const std::string& kernel, DType k_type, DType v_type, const FlashCase& c,
             const std::vector<TokenRun>& runs) {
    const Cache cache{k_type, v_type, random_rows(k_type, kPages * c.kv_heads * kPageTokens, c.k_dim, random),
                      random_rows(v_type, kPages * c.kv_heads * kPageTokens, c.v_dim, random)};
    check(kernel, c, runs, cache, cache, 3);
  }
  // `seen`: the cache as the kernel's arithmetic has it.
  void check(const std::string& kernel, const FlashCase& c, const std::vector<TokenRun>& runs,
             const Cache& cache, const Cache& seen, float largest_q);
  void check_bytes(const TestStep& step, const FlashCase& c, const Guarded<float>& y,
                   const Guarded<float>& gamma, const Guarded<std::byte>& bytes);
};

KvPages pages_of(const std::vector<std::byte>& rows, DType type, std::int64_t heads, std::int64_t dim) {
  const std::int64_t row = row_bytes(type, dim);
  return {const_cast<std::byte*>(rows.data()), type, heads, dim, row, row * heads * kPageTokens};
}

std::vector<float> decoded(const KvPages& pages, const TestStep& step, std::size_t token, std::int64_t head,
                           std::int64_t position) {
  const auto sequence = static_cast<std::size_t>(step.sequences[token]);
  const i32 page = step.pages[sequence * kStride + static_cast<std::size_t>(position / kPageTokens)];
  std::vector<float> row(static_cast<std::size_t>(pages.dim));
  decode_row(
      pages.type,
      pages.base + page * pages.page_bytes + (head * kPageTokens + position % kPageTokens) * pages.row_bytes,
      row.data(), pages.dim);
  return row;
}

// How far a row may be off. q, keys, values and weights are rounded to f16, a relative 2^-11 each, so a logit
// is off by d = 2 2^-11 scale sum |q k|, all weights and their sum by a factor of up to exp(d); and weights
// below the normal f16 by 2^-25.
std::vector<double> bounds(const AttentionArgs& a, const TestStep& step) {
  std::vector<double> all;
  for (std::size_t t = 0; t < step.tokens(); ++t)
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t at = step.positions[t], head = h / (a.heads / a.k.heads);
      const std::int64_t first = a.window > 0 ? std::max<std::int64_t>(0, at + 1 - a.window) : 0;
      std::int64_t last = at;
      for (std::size_t i = t; !a.causal && i < step.tokens() && step.sequences[i] == step.sequences[t]; ++i)
        last =
            a.window > 0 ? std::min(std::int64_t{step.positions[i]}, at + a.window - 1) : step.positions[i];
      double off = 0;
      std::vector<double> largest(static_cast<std::size_t>(a.v.dim), 0);
      for (std::int64_t p = first; p <= last; ++p) {
        const std::vector<float> k = decoded(a.k, step, t, head, p), v = decoded(a.v, step, t, head, p);
        double sum = 0;
        for (std::int64_t i = 0; i < a.k.dim; ++i)
          sum +=
              std::abs(static_cast<double>(a.q[(static_cast<std::int64_t>(t) * a.heads + h) * a.k.dim + i]) *
                       k[static_cast<std::size_t>(i)]);
        off = std::max(off, 2.5 / 2048 * a.scale * sum);
        for (std::size_t i = 0; i < v.size(); ++i)
          largest[i] = std::max(largest[i], std::abs(static_cast<double>(v[i])));
      }
      for (double v : largest)
        all.push_back(1e-6 + v * (std::exp(2 * off) - 1 + 3.0 / 2048 +
                                  static_cast<double>(last - first + 1) * std::pow(2.0, -25)));
    }
  return all;
}

u32 kv_number(DType type) {
  switch (type) {
    case DType::f32:
      return gpu::kKvF32;
    case DType::f16:
      return gpu::kKvF16;
    case DType::bf16:
      return gpu::kKvBf16;
    case DType::q8_0:
      return gpu::kKvQ8_0;
    default:
      return gpu::kKvQ4_0;
  }
}

void GpuFlash::check_bytes(const TestStep& step, const FlashCase& c, const Guarded<float>& y,
                           const Guarded<float>& gamma, const Guarded<std::byte>& bytes) {
  const auto counts = step.counts();
  Guarded<std::byte> want(bytes.size(), std::byte{0xEE});
  const u32 width = to_u32(c.heads * c.v_dim);
  launch("quantize", {ceil_div(width, 256), counts.tokens > 0 ? to_u32(counts.tokens) : 0},
         gpu::QuantizeParams{gpu::kRowsTokens, width, c.gamma},
         {&counts, y.data(), gamma.data(), want.data()});
  EXPECT_TRUE(std::ranges::equal(bytes.span(), want.span())) << "the bytes are not those of the rows";
}

void GpuFlash::check(const std::string& kernel, const FlashCase& c, const std::vector<TokenRun>& runs,
                     const Cache& cache, const Cache& seen, float largest_q) {
  const TestStep step = step_of(runs, c.window);
  const auto tokens = static_cast<std::int64_t>(step.tokens());
  const KvPages k = pages_of(cache.keys, cache.k_type, c.kv_heads, c.k_dim),
                v = pages_of(cache.values, cache.v_type, c.kv_heads, c.v_dim);
  Guarded<std::byte> keys(cache.keys), values(cache.values);
  const Guarded<float> q(
      random_floats(static_cast<std::size_t>(tokens * c.heads * c.k_dim), random, largest_q));
  const Guarded<float> sinks(random_floats(static_cast<std::size_t>(c.heads), random));
  const Guarded<float> gamma(random_floats(static_cast<std::size_t>(c.heads * c.v_dim), random));
  const auto counts = step.counts();
  const std::vector<i32> starts = step.starts();
  const float scale = 2.4F / std::sqrt(static_cast<float>(c.k_dim));
  gpu::FlashParams p{.attention = {.heads = to_u32(c.heads),
                                   .kv_heads = to_u32(c.kv_heads),
                                   .k_dim = to_u32(c.k_dim),
                                   .v_dim = to_u32(c.v_dim),
                                   .k_row_bytes = to_u32(k.row_bytes),
                                   .v_row_bytes = to_u32(v.row_bytes),
                                   .k_page_bytes = static_cast<u64>(k.page_bytes),
                                   .v_page_bytes = static_cast<u64>(v.page_bytes),
                                   .scale = scale,
                                   .softcap = c.softcap,
                                   .window = to_u32(c.window),
                                   .group = 1,
                                   .has_sinks = c.sinks,
                                   .splits = c.splits,
                                   .causal = c.causal},
                     .shared_heads = to_u32(c.heads / c.kv_heads),
                     .per_shared_head = 1.0F / static_cast<float>(c.heads / c.kv_heads),
                     .k_type = kv_number(k.type),
                     .v_type = kv_number(v.type),
                     .bytes = c.bytes,
                     .has_gamma = c.gamma};
  const auto rows = static_cast<std::size_t>(tokens * c.heads);
  const std::size_t parts = c.splits > 1 ? rows * c.splits : 0, width = static_cast<std::size_t>(c.v_dim);
  Guarded<float> y(rows * width, NAN), sums(parts * width, NAN), tops(parts * 2, NAN);
  const std::size_t stride = ceil_div(c.heads * c.v_dim, gpu::kInt8Chunk) * gpu::kInt8Chunk;
  Guarded<std::byte> bytes(c.bytes ? static_cast<std::size_t>(tokens) * stride / 8 * 11 : 0, std::byte{0xEE});
  // More tiles than there are: those without rows leave.
  const u32 tiles = ceil_div(tokens * c.heads / c.kv_heads, kernel.find("few") != kernel.npos ? 16 : 64) +
                    to_u32(static_cast<std::int64_t>(runs.size()));
  launch(kernel, {to_u32(c.kv_heads), tiles, c.splits}, p,
         {&counts, step.positions.data(), step.sequences.data(), starts.data(), step.pages.data(), q.data(),
          keys.data(), values.data(), sinks.data(), gamma.data(), y.data(), sums.data(), tops.data(),
          bytes.data()});
  if (c.splits > 1)
    launch("flash_combine", {to_u32(c.heads), to_u32(tokens) + 1}, p,
           {&counts, sums.data(), tops.data(), sinks.data(), gamma.data(), y.data(), bytes.data()});

  std::vector<float> want(y.size());
  const AttentionArgs args{.q = q.data(),
                           .heads = c.heads,
                           .k = pages_of(seen.keys, seen.k_type, c.kv_heads, c.k_dim),
                           .v = pages_of(seen.values, seen.v_type, c.kv_heads, c.v_dim),
                           .group = 1,
                           .scale = scale,
                           .softcap = c.softcap,
                           .window = c.window,
                           .sinks = c.sinks ? sinks.data() : nullptr,
                           .tiles = false,
                           .y = want.data(),
                           .partials = nullptr,
                           .causal = c.causal};
  ref_entry(KernelOp::attention, seen.k_type).step(&args, step.host(), {});
  expect_within(y.span(), want, bounds(args, step),
                fmt::format("{}: {} / {}, {} / {} heads of {} / {}, window {}, splits {}", kernel,
                            format_info(k.type).name, format_info(v.type).name, c.heads, c.kv_heads, c.k_dim,
                            c.v_dim, c.window, c.splits));
  if (c.bytes) check_bytes(step, c, y, gamma, bytes);
}

TEST_P(GpuFlash, EveryPairOfFormats) {
  for (DType k : kv_types())
    for (DType v : kv_types()) {
      check("flash_few_64", k, v, {}, kFew);
      check("flash_tile_64", k, v, {}, {{1, 50, 20}});
    }
}

TEST_P(GpuFlash, EverySizeOfHeads) {
  for (const std::string kind : {"flash_few_", "flash_tile_"}) {
    const std::vector<TokenRun>& runs = kind == "flash_few_" ? kFew : kPrompts;
    check(kind + "64", DType::f16, DType::f32, {.heads = 3, .kv_heads = 1, .k_dim = 20, .v_dim = 33}, runs);
    check(kind + "64", DType::bf16, DType::f16, {.heads = 1, .kv_heads = 1, .k_dim = 64, .v_dim = 40}, runs);
    check(kind + "128", DType::q8_0, DType::q8_0, {.heads = 9, .kv_heads = 3, .k_dim = 96, .v_dim = 128},
          runs);
    check(kind + "128", DType::q4_0, DType::f16, {.heads = 4, .kv_heads = 1, .k_dim = 128, .v_dim = 72},
          runs);
    check(kind + "256", DType::q8_0, DType::q8_0, {.heads = 2, .kv_heads = 1, .k_dim = 256, .v_dim = 256},
          runs);
    check(kind + "256", DType::f16, DType::f32, {.heads = 1, .kv_heads = 1, .k_dim = 192, .v_dim = 129},
          runs);
    check(kind + "512", DType::q8_0, DType::q4_0, {.heads = 2, .kv_heads = 2, .k_dim = 512, .v_dim = 512},
          runs);
  }
}

// Query heads of a KV head that fill no tile, more than one, and many.
TEST_P(GpuFlash, GroupsOfHeads) {
  for (std::int64_t group : {1, 7, 17, 40})
    for (const std::string kernel : {"flash_few_64", "flash_tile_64"}) {
      check(kernel, DType::q8_0, DType::q8_0, {.heads = group, .kv_heads = 1}, kFew);
      check(kernel, DType::q8_0, DType::q8_0, {.heads = group, .kv_heads = 1}, kDecoding);
    }
}

TEST_P(GpuFlash, WindowsCapsAndSinks) {
  for (std::int64_t window : {0, 1, 33, 64, 1000})
    for (bool both : {false, true}) {
      const FlashCase c{.softcap = both ? 5.0F : 0, .window = window, .sinks = both};
      check("flash_few_64", DType::f16, DType::q8_0, c, kFew);
      check("flash_tile_64", DType::q8_0, DType::f16, c, kPrompts);
      check("flash_tile_128", DType::q8_0, DType::f16, c, {{0, 0, 3}});
    }
  check("flash_few_64", DType::f16, DType::f16, {.softcap = 5}, kFew);
  check("flash_few_64", DType::f16, DType::f16, {.sinks = true}, kFew);
}

TEST_P(GpuFlash, SplitsAndBytes) {
  for (u32 splits : {1U, 2U, 7U, 40U})
    for (std::int64_t window : {0, 70})
      for (bool gamma : {false, true}) {
        const FlashCase c{.window = window, .sinks = gamma, .splits = splits, .bytes = true, .gamma = gamma};
        check("flash_few_64", DType::q8_0, DType::q8_0, c, gamma ? kFew : kDecoding);
      }
  check("flash_few_128", DType::q8_0, DType::f16,
        {.heads = 8, .k_dim = 128, .v_dim = 96, .splits = 3, .bytes = true}, kDecoding);
  check("flash_few_128", DType::q8_0, DType::f16, {.heads = 8, .k_dim = 128, .v_dim = 96, .bytes = true},
        kFew);
}

TEST_P(GpuFlash, WholeTexts) {
  for (const std::string kernel : {"flash_few_64", "flash_tile_64", "flash_tile_128"})
    for (std::int64_t window : {0, 1, 20, 64})
      for (u32 splits : {1U, 3U}) {
        if (splits > 1 && kernel != "flash_few_64") continue;
        check(kernel, DType::f16, DType::q8_0, {.window = window, .splits = splits, .causal = false}, kTexts);
      }
}

// What f16 cannot hold counts as its largest value: nothing becomes infinite or NaN.
TEST_P(GpuFlash, ValuesBeyondF16) {
  const FlashCase c{.heads = 2, .kv_heads = 1};
  for (const auto& [type, huge] : {std::pair{DType::f32, 1e30F}, {DType::bf16, 3e5F}, {DType::q8_0, 6e6F}}) {
    const std::int64_t rows = kPages * kPageTokens, width = c.k_dim;
    std::vector<float> values = random_floats(static_cast<std::size_t>(rows * width), random, 0.3F);
    for (std::size_t i = 0; i < values.size(); i += 32) values[i] = i % 64 == 0 ? huge : -huge;
    const auto encode = [&](const std::vector<float>& from, DType as) {
      std::vector<std::byte> bytes(static_cast<std::size_t>(rows * row_bytes(as, width)));
      for (std::int64_t r = 0; r < rows; ++r)
        encode_row(as, from.data() + r * width, bytes.data() + r * row_bytes(as, width), width);
      return bytes;
    };
    // The reference reads what the cache has, clamped.
    const Cache cache{type, type, encode(values, type), encode(values, type)};
    for (std::int64_t r = 0; r < rows; ++r)
      decode_row(type, cache.keys.data() + r * row_bytes(type, width), values.data() + r * width, width);
    for (float& x : values) x = std::clamp(x, -65504.0F, 65504.0F);
    const Cache seen{DType::f32, DType::f32, encode(values, DType::f32), encode(values, DType::f32)};
    for (const std::string kernel : {"flash_few_64", "flash_tile_64"})
      check(kernel, c, kFew, cache, seen, 6e-4F);  // logits stay small
  }
}

MEDLAR_EVERY_ORDER(GpuFlash);

}  // namespace
}  // namespace medlar::testing
