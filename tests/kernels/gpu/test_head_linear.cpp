// Products of each head with a matrix of its own against the reference, in every weight format.
#include <cmath>

#include "kernels/ref/ref.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using namespace kernels;  // NOLINT: their references

class GpuHeadLinear : public OnEmulator {};

TEST_P(GpuHeadLinear, EveryFormat) {
  for (DType type : weight_types()) {
    const FormatInfo& info = format_info(type);
    for (const auto& [heads, n, rest] :
         {std::tuple<std::int64_t, std::int64_t, std::int64_t>{1, 1, 0}, {3, 18, 64}, {2, 40, 5}}) {
      const std::int64_t k = info.block_length == 1 ? 43 : 2 * info.block_length, tokens = 3;
      const Guarded<std::byte> weights(random_rows(type, heads * n, k, random));
      const Guarded<float> x(random_floats(static_cast<std::size_t>(tokens * heads * (k + rest)), random));
      const TestStep step = tokens_only(static_cast<std::size_t>(tokens));
      const auto counts = step.counts();
      Guarded<float> y(static_cast<std::size_t>(tokens * heads * (n + rest)), NAN);
      launch(fmt::format("head_linear_{}", info.name), {ceil_div(n, 16), to_u32(heads), to_u32(tokens) + 1},
             gpu::HeadLinearParams{gpu::kRowsTokens, to_u32(heads), to_u32(n), to_u32(k), to_u32(rest),
                                   to_u32(row_bytes(type, k))},
             {&counts, x.data(), weights.data(), y.data()});
      std::vector<float> want(y.size());
      const HeadLinearArgs args{.x = x.data(),
                                .weight = weights.data(),
                                .type = type,
                                .dot = nullptr,
                                .rows = RowCount::tokens,
                                .heads = heads,
                                .n = n,
                                .k = k,
                                .rest = rest,
                                .y = want.data()};
      ref_entry(KernelOp::head_linear).step(&args, step.host(), {});
      expect_close(y.span(), want, 1e-5, 1e-4, std::string(info.name));
    }
  }
}

MEDLAR_EVERY_ORDER(GpuHeadLinear);

}  // namespace
}  // namespace medlar::testing
