// The linear driver: sharing among threads, biases, residuals and gates over the leaf products.
#include <cmath>
#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "formats/all.h"
#include "kernels/ref/ref.h"
#include "kernels/types.h"
#include "tests/kernels/activations.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/matrix.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

namespace {

struct Case {
  std::vector<std::int64_t> n;  // rows of each matrix
  std::int64_t k, tokens;
  bool bias, residual, in_place;
  Activation glu;
};

const Case kCases[] = {
    {{40}, 256, 1, false, false, false, Activation::none},
    {{1}, 256, 3, true, true, false, Activation::none},
    {{64, 16, 16}, 512, 1, true, false, false, Activation::none},
    {{64, 24, 17}, 256, 9, false, false, false, Activation::none},
    {{130}, 256, 1, false, true, true, Activation::none},
    {{100}, 512, 33, true, true, true, Activation::none},
    {{1100}, 256, 2, false, true, false, Activation::none},
    {{96, 96}, 256, 1, false, false, false, Activation::silu},
    {{1100, 1100}, 256, 1, true, false, false, Activation::gelu},
    {{50, 50}, 512, 33, true, true, false, Activation::silu},
    {{70, 70}, 256, 5, false, true, true, Activation::gelu},
};
// More rows than one chunk holds.
const Case kLong[] = {
    {{40}, 256, 600, true, true, true, Activation::none},
    {{70, 70}, 256, 600, false, false, false, Activation::silu},
};

// In batches: panels of every size, rows and tokens past whole tiles, depths in one chunk and in
// several, more tokens than share an unpacked strip, and strips that end within a slice.
const Case kBatches[] = {
    {{16}, 32, 12, false, false, false, Activation::none},
    {{40}, 576, 17, true, false, false, Activation::none},
    {{64, 24, 17}, 256, 33, true, false, false, Activation::none},
    {{100}, 512, 47, true, true, true, Activation::none},
    {{70}, 4352, 40, false, true, true, Activation::none},
    {{50, 50}, 576, 35, true, true, false, Activation::silu},
    {{70, 70}, 4352, 18, true, false, false, Activation::gelu},
    {{330}, 256, 70, false, false, false, Activation::none},
    {{352}, 256, 37, true, false, false, Activation::none},
    {{416, 416}, 4352, 51, false, false, false, Activation::silu},
    {{33}, 256, 600, true, true, true, Activation::none},
    {{33}, 4352, 530, false, false, false, Activation::none},
    {{600, 600}, 256, 70, true, true, false, Activation::gelu},
};

// Of element i of output o: the product's, or with a gate (slope at most 1.2, error as in check_unary) the
// errors of both factors; then the roundings of bias and residual.
double bound_of(const Case& c, const std::vector<Matrix>& matrices, std::size_t o, std::size_t i) {
  const Matrix& m = matrices[o];
  const double sums = 4 * kUlp * (std::abs(m.product[i]) + 12);
  if (c.glu == Activation::none) return m.bound[i] + sums;
  const double gate = std::abs(m.product[i]) + 6, up = std::abs(matrices[1].product[i]) + 6;
  const double gate_error = m.bound[i] + sums, up_error = matrices[1].bound[i] + 4 * kUlp * up;
  return 1.2 * gate_error * (up + up_error) + gate * up_error + (12 + 4 * 88) * kUlp * gate * up;
}

// x in tiles, by the same table's own kernel.
void prepare_tiles(const KernelEntry& entry, const Activations& x, std::int64_t tokens, const Guarded& to) {
  const PrepareArgs args{.x = reinterpret_cast<const float*>(x.exact.data()),
                         .norm = false,
                         .norm_weight = nullptr,
                         .eps = 0,
                         .rows = RowCount::tokens,
                         .width = x.width,
                         .kind = ActKind::q8,
                         .batch = Batch::tiles,
                         .packed = false,
                         .y = to.data()};
  const SimpleStep s(tokens);
  for (const KernelEntry& e : table_of(entry))
    if (e.op == KernelOp::prepare) run(e, &args, s.step, 1);
}

UnpackTilesFn unpack_for(const KernelEntry& entry, DType type) {
  for (const KernelEntry& e : table_of(entry))
    if (e.op == KernelOp::unpack_tiles && e.type == type) return e.unpack;
  return nullptr;
}

// The leaf of the BLAS that is here for tests.
RowsDotFn batch_dot(DType type) {
  for (const std::span<const KernelEntry> table : tables_here())
    for (const KernelEntry& e : table)
      if (e.op == KernelOp::batch_dot && e.type == type) return e.rows_dot;
  return nullptr;
}

// The result as tiles for the next product.
int check_next(const KernelEntry& entry, LinearArgs args, const std::vector<float>& want,
               const std::function<double(std::size_t)>& bound, const Step& step) {
  const std::int64_t n = args.out[0].n;
  const Guarded next(static_cast<std::int64_t>(prepared_bytes(ActKind::q8, Batch::tiles, n, step.tokens)),
                     64);
  args.next = next.data();
  args.out[0].y = nullptr;
  int compared = 0;
  for (const int threads : {1, 3}) {
    run(entry, &args, step, threads);
    EXPECT_TRUE(next.intact());
    std::vector<float> got;
    for (std::int64_t m = 0; m < step.tokens; ++m)
      for (std::int64_t j = 0; j < n; ++j) got.push_back(tiled_value(next.data(), n, m, j));
    compared += expect_near(
        got, want, [&](std::size_t i) { return bound(i) + 0x1p-8 * (std::abs(want[i]) + bound(i)); },
        "linear to tiles");
  }
  return compared;
}

int check_case(const KernelEntry& entry, const Case& c, const Way& way, Rng& rng) {
  const Leaf& leaf = way.leaf;
  const SimpleStep s(c.tokens);
  const Activations x(leaf.act, rng.heavy_tailed(c.tokens * c.k), c.tokens, c.k);
  std::vector<Matrix> matrices;
  for (const std::int64_t n : c.n) matrices.emplace_back(way, n, x, c.tokens, rng);
  std::vector<std::vector<float>> wants(c.glu == Activation::none ? c.n.size() : 1);
  LinearArgs args{.x = x.exact.data(),
                  .batch_x = x.exact.data(),
                  .kind = ActKind::f32,
                  .batch = Batch::none,
                  .rows = RowCount::tokens,
                  .k = c.k,
                  .outs = static_cast<int>(c.n.size()),
                  .out = {},
                  .glu = c.glu,
                  .uniform = false,
                  .next = nullptr};
  for (std::size_t o = 0; o < c.n.size(); ++o) {
    if (o < wants.size()) wants[o].resize(matrices[o].product.size());
    args.out[o] = {.weight = matrices[o].weights.data(),
                   .dot = ref_entry(KernelOp::rows_dot, leaf.type).rows_dot,
                   .unpack = way.batch == Batch::tiles ? unpack_for(entry, leaf.type) : nullptr,
                   .batch_dot = way.batch == Batch::floats ? batch_dot(leaf.type) : nullptr,
                   .type = leaf.type,
                   .n = c.n[o],
                   .bias = c.bias ? matrices[o].bias.data() : nullptr,
                   .residual = c.residual && o < wants.size() ? matrices[o].residual.data() : nullptr,
                   .y = o < wants.size() ? wants[o].data() : nullptr};
  }
  run(ref_entry(KernelOp::linear), &args, s.step, 1);

  const bool in_tiles = way.batch == Batch::tiles;
  const Guarded tiles(static_cast<std::int64_t>(prepared_bytes(leaf.act, way.batch, c.k, c.tokens)), 64);
  if (in_tiles) prepare_tiles(entry, x, c.tokens, tiles);
  args.x = x.prepared.data();
  if (in_tiles) args.batch_x = tiles.data();
  args.kind = leaf.act;
  args.batch = way.batch;
  for (std::size_t o = 0; o < c.n.size(); ++o) args.out[o].dot = leaf_for(leaf.isa, leaf.type, leaf.act);
  int compared = 0;
  if (in_tiles && wants.size() == 1 && c.n[0] % 32 == 0 && !c.residual)
    compared +=
        check_next(entry, args, wants[0], [&](std::size_t i) { return bound_of(c, matrices, 0, i); }, s.step);
  for (const int threads : {1, 2, 5}) {
    std::vector<std::unique_ptr<Guarded>> ys;
    for (std::size_t o = 0; o < wants.size(); ++o) {
      ys.push_back(std::make_unique<Guarded>(matrices[o].residual));
      args.out[o].y = ys[o]->floats();
      if (c.in_place) args.out[o].residual = args.out[o].y;
    }
    run(entry, &args, s.step, threads);
    for (std::size_t o = 0; o < wants.size(); ++o) {
      EXPECT_TRUE(ys[o]->intact());
      const std::string what = "linear, out " + std::to_string(o) + " of " + std::to_string(c.n[0]) + " x " +
                               std::to_string(c.k) + ", " + std::to_string(threads) + " threads";
      compared += expect_near(
          ys[o]->values(), wants[o], [&](std::size_t i) { return bound_of(c, matrices, o, i); }, what);
    }
  }
  return compared;
}

}  // namespace

int check_linear(const KernelEntry& entry) {
  Rng rng(13);
  int compared = 0;
  for (const Case& c : kCases) {
    for (const DType type : {DType::q4_0, DType::q6_k, DType::q8_0, DType::f16}) {
      compared += check_case(entry, c, {{entry.isa, type, act_kind(type)}}, rng);
      compared += check_case(entry, c, {{entry.isa, type, ActKind::f32}}, rng);
    }
  }
  for (const Case& c : kLong) compared += check_case(entry, c, {{entry.isa, DType::q4_0, ActKind::q8}}, rng);
  const Batch batch = entry.isa == Isa::amx                              ? Batch::tiles
                      : entry.isa == Isa::avx2 && batch_dot(DType::q4_0) ? Batch::floats
                                                                         : Batch::none;
  if (batch == Batch::none) return compared;
  for (const Case& c : kBatches) {
    for (const DType type : {DType::q4_0, DType::q4_k, DType::q8_0, DType::f16})
      if (c.k % format_info(type).block_length == 0)
        compared += check_case(entry, c, {{entry.isa, type, act_kind(type)}, batch}, rng);
  }
  return compared;
}

}  // namespace medlar::kernels::testing
