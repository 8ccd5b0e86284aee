// Rotary embedding, norms of heads and stores to the paged cache against the references.
#include <cmath>

#include "kernels/ref/ref.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using namespace kernels;  // NOLINT: their references

struct HeadCase {
  std::int64_t heads, dim, rope_dim;
  RopeStyle style = RopeStyle::halves;
  bool norm = false;
  std::int64_t first = 0;
};

// Three sequences whose tokens fall on both sides of page borders, on pages in no order.
TestStep paged_step() {
  TestStep s;
  s.positions = {0, 63, 64, 5, 130, 191, 1};
  s.sequences = {0, 0, 0, 1, 2, 2, 1};
  s.stride = 3;
  s.pages = {4, 1, -1, 0, -1, -1, 6, 5, 2};
  return s;
}
constexpr std::int64_t kPages = 7;

std::vector<float> frequencies(std::int64_t rope_dim) {
  std::vector<float> f;
  for (std::int64_t i = 0; i < rope_dim / 2; ++i)
    f.push_back(std::pow(10000.0F, -2 * static_cast<float>(i) / static_cast<float>(rope_dim)));
  f.push_back(0);  // never read; keeps the vector from being empty
  return f;
}

class GpuHeads : public OnEmulator {
 protected:
  static gpu::HeadParams params(const HeadCase& c) {
    return {.heads = to_u32(c.heads),
            .dim = to_u32(c.dim),
            .norm = c.norm,
            .has_weight = c.norm,
            .eps = 1e-6F,
            .rope_dim = to_u32(c.rope_dim),
            .rope_style = static_cast<u32>(c.style),
            .magnitude = 1.25F,
            .rope_first = to_u32(c.first)};
  }
  // The case's heads of x, normalised and rotated by the references.
  static std::vector<float> reference(const HeadCase& c, const TestStep& step, const float* x,
                                      const float* norm, const float* inv_freq) {
    std::vector<float> y(x, x + static_cast<std::int64_t>(step.tokens()) * c.heads * c.dim);
    const RmsNormArgs normed{.x = x,
                             .weight = norm,
                             .residual = nullptr,
                             .rows = RowCount::tokens,
                             .per_row = c.heads,
                             .dim = c.dim,
                             .eps = 1e-6F,
                             .y = y.data()};
    if (c.norm) ref_entry(KernelOp::rms_norm).step(&normed, step.host(), {});
    const RopeArgs turned{y.data(), c.heads, c.dim, c.rope_dim, c.style, inv_freq, 1.25F, y.data(), c.first};
    if (c.rope_dim) ref_entry(KernelOp::rope).step(&turned, step.host(), {});
    return y;
  }
};

TEST_P(GpuHeads, NormsAndRotates) {
  const TestStep step = paged_step();
  for (const HeadCase& c : {HeadCase{1, 16, 16},
                            {3, 64, 64, RopeStyle::adjacent},
                            {5, 80, 20},
                            {4, 256, 256, RopeStyle::halves, true},
                            {9, 64, 0, RopeStyle::halves, true},
                            {2, 96, 64, RopeStyle::adjacent, true},
                            {4, 192, 64, RopeStyle::adjacent, false, 128},
                            {1, 512, 512}}) {
    const std::size_t n = step.tokens() * static_cast<std::size_t>(c.heads * c.dim);
    const Guarded<float> x(random_floats(n, random)),
        norm(random_floats(static_cast<std::size_t>(c.dim), random));
    const Guarded<float> inv_freq(frequencies(c.rope_dim));
    const auto counts = step.counts();
    Guarded<float> y(n, NAN);
    launch("heads", {ceil_div(c.heads, 4), to_u32(static_cast<std::int64_t>(step.tokens()) + 1)}, params(c),
           {&counts, step.positions.data(), x.data(), norm.data(), inv_freq.data(), y.data()});
    const std::vector<float> want = reference(c, step, x.data(), norm.data(), inv_freq.data());
    expect_close(y.span(), want, 1e-5, 1e-5, fmt::format("{} heads of {}", c.heads, c.dim));
  }
}

// The cache's bytes are the reference's; every byte between them stays as it was.
TEST_P(GpuHeads, StoresEveryFormat) {
  const TestStep step = paged_step();
  for (DType type : kv_types())
    for (const auto& [heads, dim] : {std::pair{1, 32}, {3, 64}, {5, 256}}) {
      const FormatInfo& info = format_info(type);
      const Guarded<float> x(random_floats(step.tokens() * static_cast<std::size_t>(heads * dim), random));
      const auto counts = step.counts();
      const std::int64_t row = row_bytes(type, dim), page = row * heads * kPageTokens;
      Guarded<std::byte> cache(static_cast<std::size_t>(kPages * page), std::byte{0x5C});
      launch(
          fmt::format("store_heads_{}", info.name),
          {ceil_div(heads * dim / info.block_length, 128),
           to_u32(static_cast<std::int64_t>(step.tokens()) + 1)},
          gpu::StoreParams{to_u32(heads), to_u32(dim), 2, to_u32(row), static_cast<u64>(page)},
          {&counts, step.positions.data(), step.sequences.data(), step.pages.data(), x.data(), cache.data()});
      std::vector<std::byte> want(cache.size(), std::byte{0x5C});
      const KvWriteArgs args{x.data(), {want.data(), type, heads, dim, row, page}, 2};
      ref_entry(KernelOp::kv_write, type).step(&args, step.host(), {});
      ASSERT_TRUE(std::equal(want.begin(), want.end(), cache.data()))
          << info.name << ", " << heads << " x " << dim;
    }
}

// Queries, keys and values in one kernel: what the two kernels above do one by one.
TEST_P(GpuHeads, PreparesAttention) {
  const TestStep step = paged_step();
  const auto tokens = static_cast<std::int64_t>(step.tokens());
  const auto counts = step.counts();
  for (DType k_type : kv_types())
    for (DType v_type : kv_types()) {
      const HeadCase q{5, 64, 64, RopeStyle::adjacent, true}, k{3, 64, 32};
      const std::int64_t v_dim = 96;
      const auto floats = [&](std::int64_t n) { return random_floats(static_cast<std::size_t>(n), random); };
      const Guarded<float> qs(floats(tokens * q.heads * q.dim)), ks(floats(tokens * k.heads * k.dim)),
          vs(floats(tokens * k.heads * v_dim)), norm(floats(q.dim));
      const Guarded<float> q_freq(frequencies(q.rope_dim)), k_freq(frequencies(k.rope_dim));
      Guarded<float> y(qs.size(), NAN), room(ks.size(), NAN);
      const std::int64_t k_row = row_bytes(k_type, k.dim), v_row = row_bytes(v_type, v_dim);
      const std::int64_t k_page = k_row * k.heads * kPageTokens, v_page = v_row * k.heads * kPageTokens;
      Guarded<std::byte> k_cache(static_cast<std::size_t>(kPages * k_page), std::byte{0x5C});
      Guarded<std::byte> v_cache(static_cast<std::size_t>(kPages * v_page), std::byte{0x5C});
      const gpu::AttendParams p{
          .q = params(q),
          .k = params(k),
          .key = {to_u32(k.heads), to_u32(k.dim), 2, to_u32(k_row), static_cast<u64>(k_page)},
          .value = {to_u32(k.heads), to_u32(v_dim), 2, to_u32(v_row), static_cast<u64>(v_page)}};
      const std::string what =
          fmt::format("attend_heads_{}_{}", format_info(k_type).name, format_info(v_type).name);
      launch(what, {ceil_div(q.heads + 2 * k.heads, 4), to_u32(tokens + 1)}, p,
             {&counts, step.positions.data(), step.sequences.data(), step.pages.data(), qs.data(), ks.data(),
              vs.data(), norm.data(), norm.data(), q_freq.data(), k_freq.data(), y.data(), room.data(),
              k_cache.data(), v_cache.data()});
      expect_close(y.span(), reference(q, step, qs.data(), norm.data(), q_freq.data()), 1e-5, 1e-5, what);
      expect_close(room.span(), reference(k, step, ks.data(), norm.data(), k_freq.data()), 1e-5, 1e-5, what);
      std::vector<std::byte> k_want(k_cache.size(), std::byte{0x5C}), v_want(v_cache.size(), std::byte{0x5C});
      const KvWriteArgs k_args{room.data(), {k_want.data(), k_type, k.heads, k.dim, k_row, k_page}, 2};
      const KvWriteArgs v_args{vs.data(), {v_want.data(), v_type, k.heads, v_dim, v_row, v_page}, 2};
      ref_entry(KernelOp::kv_write, k_type).step(&k_args, step.host(), {});
      ref_entry(KernelOp::kv_write, v_type).step(&v_args, step.host(), {});
      ASSERT_TRUE(std::equal(k_want.begin(), k_want.end(), k_cache.data())) << what;
      ASSERT_TRUE(std::equal(v_want.begin(), v_want.end(), v_cache.data())) << what;
    }
}

MEDLAR_EVERY_ORDER(GpuHeads);

}  // namespace
}  // namespace medlar::testing
