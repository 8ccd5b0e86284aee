// embed and gather_rows against the references.
#include <cmath>

#include "kernels/ref/ref.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using namespace kernels;  // NOLINT: their references

class GpuRows : public OnEmulator {};

TEST_P(GpuRows, EmbedsEveryFormat) {
  constexpr std::int64_t kVocab = 9;
  for (DType type : weight_types()) {
    const FormatInfo& info = format_info(type);
    const std::int64_t block = info.block_length, odd = block == 1 ? 1043 : 1280;
    for (std::int64_t dim : {block, 5 * block, odd}) {
      const Guarded<std::byte> table(random_rows(type, kVocab, dim, random));
      TestStep step;
      step.token_ids = {8, 0, 3, 3};
      const auto counts = step.counts();
      Guarded<float> y(step.tokens() * static_cast<std::size_t>(dim), NAN);
      launch(fmt::format("embed_{}", info.name), {5},
             gpu::EmbedParams{to_u32(dim), to_u32(row_bytes(type, dim)), 1.5F, kVocab - 1},
             {&counts, step.token_ids.data(), table.data(), y.data()});
      std::vector<float> want(y.size());
      const EmbedArgs args{table.data(), type, dim, 1.5F, want.data()};
      ref_entry(KernelOp::embed, type).step(&args, step.host(), {});
      expect_close(y.span(), want, 0, 0, std::string(info.name));
    }
    // By positions, of which some are past the table's end.
    TestStep step;
    step.positions = {0, 8, 9, 700};
    const std::int64_t dim = 5 * block;
    const Guarded<std::byte> table(random_rows(type, kVocab, dim, random));
    const auto counts = step.counts();
    Guarded<float> y(step.tokens() * static_cast<std::size_t>(dim), NAN);
    launch(fmt::format("embed_{}", info.name), {5},
           gpu::EmbedParams{to_u32(dim), to_u32(row_bytes(type, dim)), 1.5F, kVocab - 1},
           {&counts, step.positions.data(), table.data(), y.data()});
    std::vector<float> want(y.size());
    const EmbedArgs args{table.data(), type, dim, 1.5F, want.data(), EmbedBy::position, kVocab};
    ref_entry(KernelOp::embed, type).step(&args, step.host(), {});
    expect_close(y.span(), want, 0, 0, std::string(info.name));
  }
}

TEST_P(GpuRows, GathersRows) {
  for (std::int64_t dim : {1, 300}) {
    TestStep step = tokens_only(5);
    step.rows = {4, 0, 4};
    const Guarded<float> x(random_floats(5 * static_cast<std::size_t>(dim), random));
    Guarded<float> y(3 * static_cast<std::size_t>(dim), NAN);
    const auto counts = step.counts();
    launch("gather_rows", {4}, gpu::GatherParams{to_u32(dim)},
           {&counts, step.rows.data(), x.data(), y.data()});
    std::vector<float> want(y.size());
    const GatherRowsArgs args{x.data(), dim, want.data()};
    ref_entry(KernelOp::gather_rows).step(&args, step.host(), {});
    expect_close(y.span(), want, 0, 0, "gather_rows");
  }
}

MEDLAR_EVERY_ORDER(GpuRows);

}  // namespace
}  // namespace medlar::testing
