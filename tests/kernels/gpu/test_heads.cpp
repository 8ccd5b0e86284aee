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
constexpr std::size_t kPages = 7;

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
            .group = 2,
            .row_bytes = 0,
            .page_bytes = 0};
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
    const RopeArgs turned{y.data(), c.heads, c.dim, c.rope_dim, c.style, inv_freq, 1.25F, y.data()};
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

// Without norm and rotation the cache's bytes are the reference's; every other byte stays as it was.
TEST_P(GpuHeads, StoresEveryFormat) {
  const TestStep step = paged_step();
  for (DType type : kv_types())
    for (const HeadCase& c : {HeadCase{1, 32, 0}, {3, 64, 0}, {5, 256, 0}}) {
      const FormatInfo& info = format_info(type);
      const std::size_t n = step.tokens() * static_cast<std::size_t>(c.heads * c.dim);
      const Guarded<float> x(random_floats(n, random));
      const auto counts = step.counts();
      gpu::HeadParams p = params(c);
      p.row_bytes = to_u32(row_bytes(type, c.dim));
      p.page_bytes = u64{p.row_bytes} * p.heads * kPageTokens;
      Guarded<float> scratch(n);
      Guarded<std::byte> cache(kPages * p.page_bytes, std::byte{0x5C});
      launch(fmt::format("store_heads_{}", info.name),
             {ceil_div(c.heads, 4), to_u32(static_cast<std::int64_t>(step.tokens()) + 1)}, p,
             {&counts, step.positions.data(), step.sequences.data(), step.pages.data(), x.data(), x.data(),
              x.data(), scratch.data(), cache.data()});
      std::vector<std::byte> want(cache.size(), std::byte{0x5C});
      const KvPages pages{want.data(), type,        c.heads,
                          c.dim,       p.row_bytes, static_cast<std::int64_t>(p.page_bytes)};
      const KvWriteArgs args{x.data(), pages, 2};
      ref_entry(KernelOp::kv_write, type).step(&args, step.host(), {});
      ASSERT_TRUE(std::equal(want.begin(), want.end(), cache.data()))
          << info.name << ", " << c.heads << " x " << c.dim;
    }
}

TEST_P(GpuHeads, StoresWhatItNormedAndRotated) {
  const TestStep step = paged_step();
  for (DType type : kv_types())
    for (const HeadCase& c :
         {HeadCase{3, 64, 64, RopeStyle::adjacent}, {2, 128, 64, RopeStyle::halves, true}}) {
      const FormatInfo& info = format_info(type);
      const std::size_t n = step.tokens() * static_cast<std::size_t>(c.heads * c.dim);
      const Guarded<float> x(random_floats(n, random)),
          norm(random_floats(static_cast<std::size_t>(c.dim), random));
      const Guarded<float> inv_freq(frequencies(c.rope_dim));
      const auto counts = step.counts();
      gpu::HeadParams p = params(c);
      p.row_bytes = to_u32(row_bytes(type, c.dim));
      p.page_bytes = u64{p.row_bytes} * p.heads * kPageTokens;
      Guarded<float> scratch(n);
      Guarded<std::byte> cache(kPages * p.page_bytes);
      launch(fmt::format("store_heads_{}", info.name),
             {ceil_div(c.heads, 4), to_u32(static_cast<std::int64_t>(step.tokens()))}, p,
             {&counts, step.positions.data(), step.sequences.data(), step.pages.data(), x.data(), norm.data(),
              inv_freq.data(), scratch.data(), cache.data()});
      const std::vector<float> want = reference(c, step, x.data(), norm.data(), inv_freq.data());
      std::vector<float> row(static_cast<std::size_t>(c.dim));
      for (std::size_t t = 0; t < step.tokens(); ++t)
        for (std::int64_t h = 0; h < c.heads; ++h) {
          const i32 page = step.pages[static_cast<std::size_t>(step.sequences[t] * step.stride +
                                                               step.positions[t] / kPageTokens)];
          const std::int64_t at = page * static_cast<std::int64_t>(p.page_bytes) +
                                  (h * kPageTokens + step.positions[t] % kPageTokens) * p.row_bytes;
          decode_row(type, cache.data() + at, row.data(), c.dim);
          const float* expected = want.data() + (static_cast<std::int64_t>(t) * c.heads + h) * c.dim;
          float top = 0;
          for (std::int64_t i = 0; i < c.dim; ++i) top = std::max(top, std::abs(expected[i]));
          // Half a step of the format around the head's greatest value, and one code more where rounding tips
          // over.
          const double step_size = type == DType::q4_0   ? 1.0 / 8
                                   : type == DType::q8_0 ? 1.0 / 127
                                   : type == DType::bf16 ? 0x1p-8
                                                         : 0x1p-11;
          for (std::int64_t i = 0; i < c.dim; ++i)
            ASSERT_NEAR(row[static_cast<std::size_t>(i)], expected[i],
                        1.01 * step_size * static_cast<double>(top))
                << info.name << " token " << t << " head " << h << " element " << i;
        }
    }
}

MEDLAR_EVERY_ORDER(GpuHeads);

}  // namespace
}  // namespace medlar::testing
