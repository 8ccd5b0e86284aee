// Attention over the paged cache against the reference: every pair of cache formats, several sequences, page
// borders, windows, soft caps, sinks, and splits joined.
#include <cmath>

#include "kernels/ref/ref.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using namespace kernels;  // NOLINT: their references

struct AttentionCase {
  std::int64_t heads = 4, kv_heads = 2, k_dim = 64, v_dim = 64;
  float softcap = 0;
  std::int64_t window = 0;
  bool sinks = false;
  u32 splits = 1;
  bool causal = true;
  bool latent = false;  // values are the first of the keys' rows
};

class GpuAttention : public OnEmulator {
 protected:
  void check(DType k_type, DType v_type, const AttentionCase& c);
};

// Positions at both sides of chunk and page borders. Pages that a window has left behind hold -1.
TestStep sequences_of(std::int64_t window) {
  TestStep s;
  s.positions = {0, 31, 32, 63, 64, 65, 7, 300};
  s.sequences = {0, 0, 0, 0, 0, 0, 1, 2};
  s.stride = 5;
  s.pages = {2, 7, -1, -1, -1, 1, -1, -1, -1, -1, 3, 0, 4, 6, 5};
  if (window > 0 && window <= 64)
    for (std::size_t page : {10, 11, 12}) s.pages[page] = -1;  // of the token at 300
  return s;
}
constexpr std::int64_t kPages = 8;

// Texts of 70, 1 and 9 tokens, all of which see each other.
TestStep whole_texts() {
  TestStep s;
  for (i32 sequence = 0; const i32 length : {70, 1, 9}) {
    for (i32 t = 0; t < length; ++t) s.positions.push_back(t), s.sequences.push_back(sequence);
    ++sequence;
  }
  s.stride = 2;
  s.pages = {5, 2, 7, -1, 0, -1};
  return s;
}

void GpuAttention::check(DType k_type, DType v_type, const AttentionCase& c) {
  const TestStep step = c.causal ? sequences_of(c.window) : whole_texts();
  const auto tokens = static_cast<std::int64_t>(step.tokens());
  const auto part = [](DType type, std::int64_t heads, std::int64_t dim) {
    const std::int64_t row = row_bytes(type, dim);
    return KvPages{nullptr, type, heads, dim, row, row * heads * kPageTokens};
  };
  KvPages k = part(k_type, c.kv_heads, c.k_dim), v = part(v_type, c.kv_heads, c.v_dim);
  if (c.latent) v = k, v.dim = c.v_dim;
  Guarded<std::byte> keys(random_rows(k_type, kPages * c.kv_heads * kPageTokens, c.k_dim, random));
  Guarded<std::byte> values(random_rows(v_type, kPages * c.kv_heads * kPageTokens, c.v_dim, random));
  k.base = keys.data(), v.base = c.latent ? keys.data() : values.data();
  const Guarded<float> q(random_floats(static_cast<std::size_t>(tokens * c.heads * c.k_dim), random, 3));
  const Guarded<float> sinks(random_floats(static_cast<std::size_t>(c.heads), random));
  const auto counts = step.counts();

  const gpu::AttentionParams p{.heads = to_u32(c.heads),
                               .kv_heads = to_u32(c.kv_heads),
                               .k_dim = to_u32(c.k_dim),
                               .v_dim = to_u32(c.v_dim),
                               .k_row_bytes = to_u32(k.row_bytes),
                               .v_row_bytes = to_u32(v.row_bytes),
                               .k_page_bytes = static_cast<u64>(k.page_bytes),
                               .v_page_bytes = static_cast<u64>(v.page_bytes),
                               .scale = 0.3F,
                               .softcap = c.softcap,
                               .window = to_u32(c.window),
                               .group = 1,
                               .has_sinks = c.sinks,
                               .splits = c.splits,
                               .causal = c.causal};
  const auto rows = static_cast<std::size_t>(tokens * c.heads);
  Guarded<float> y(rows * static_cast<std::size_t>(c.v_dim), NAN);
  Guarded<float> parts(c.splits > 1 ? rows * c.splits * static_cast<std::size_t>(c.v_dim + 2) : 1, NAN);
  launch(fmt::format("attention_{}_{}", format_info(k_type).name, format_info(v_type).name),
         {to_u32(c.heads), to_u32(tokens) + 1, c.splits}, p,
         {&counts, step.positions.data(), step.sequences.data(), step.pages.data(), q.data(), keys.data(),
          v.base, sinks.data(), c.splits > 1 ? parts.data() : y.data()});
  if (c.splits > 1)
    launch("attention_combine", {to_u32(c.heads), to_u32(tokens) + 1}, p,
           {&counts, parts.data(), sinks.data(), y.data()});

  std::vector<float> want(y.size());
  const AttentionArgs args{.q = q.data(),
                           .heads = c.heads,
                           .k = k,
                           .v = v,
                           .group = 1,
                           .scale = 0.3F,
                           .softcap = c.softcap,
                           .window = c.window,
                           .sinks = c.sinks ? sinks.data() : nullptr,
                           .tiles = false,
                           .y = want.data(),
                           .partials = nullptr,
                           .causal = c.causal};
  ref_entry(KernelOp::attention, k_type).step(&args, step.host(), {});
  expect_close(y.span(), want, 1e-4, 1e-5,
               fmt::format("{} / {}, {} heads of {} / {}, window {}, splits {}", format_info(k_type).name,
                           format_info(v_type).name, c.heads, c.k_dim, c.v_dim, c.window, c.splits));
}

TEST_P(GpuAttention, EveryPairOfFormats) {
  for (DType k : kv_types())
    for (DType v : kv_types()) check(k, v, {});
}

TEST_P(GpuAttention, Shapes) {
  check(DType::f16, DType::f32, {.heads = 3, .kv_heads = 1, .k_dim = 20, .v_dim = 33});
  check(DType::f16, DType::bf16, {.heads = 1, .kv_heads = 1, .k_dim = 256, .v_dim = 256});
  check(DType::q8_0, DType::q8_0, {.heads = 9, .kv_heads = 3, .k_dim = 96, .v_dim = 64});
  check(DType::q8_0, DType::q4_0, {.heads = 2, .kv_heads = 2, .k_dim = 512, .v_dim = 512});
}

TEST_P(GpuAttention, WindowsCapsAndSinks) {
  for (std::int64_t window : {0, 1, 33, 64, 1000})
    for (float softcap : {0.0F, 5.0F})
      for (bool sinks : {false, true})
        for (u32 splits : {1U, 3U})
          check(DType::f16, DType::f16,
                {.softcap = softcap, .window = window, .sinks = sinks, .splits = splits});
}

TEST_P(GpuAttention, MoreSplitsThanKeys) {
  for (u32 splits : {2U, 7U, 20U}) check(DType::q8_0, DType::q8_0, {.splits = splits});
}

TEST_P(GpuAttention, WholeTexts) {
  for (std::int64_t window : {0, 1, 20})
    for (u32 splits : {1U, 3U})
      check(DType::f16, DType::q8_0, {.window = window, .splits = splits, .causal = false});
}

TEST_P(GpuAttention, LatentVectors) {
  for (DType type : {DType::f16, DType::q8_0})
    for (u32 splits : {1U, 3U})
      check(type, type,
            {.heads = 5, .kv_heads = 1, .k_dim = 576, .v_dim = 512, .splits = splits, .latent = true});
}

MEDLAR_EVERY_ORDER(GpuAttention);

}  // namespace
}  // namespace medlar::testing
