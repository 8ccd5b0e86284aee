// Shape rules, verification and fusion of graphs.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/build.h"
#include "ir/fuse.h"
#include "nn/blocks.h"
#include "nn/moe.h"

namespace medlar::ir {
namespace {

using testing::HasSubstr;

Value weight(Graph& g, std::string name, Shape shape, DType type = DType::f32) {
  return g.weight(std::move(name), {type, shape, {}});
}

// One pre-norm decoder layer of width 64, four heads of 16 over two KV heads, with q/k norms when asked.
struct Layer {
  Graph g;
  explicit Layer(bool qk_norm, bool post_norm) {
    const nn::Rope rope = nn::rope(g, {.dim = 16}, RopeStyle::halves);
    Value x = embed(g, weight(g, "embd", {100, 64}));
    Value h = rms_norm(g, x, weight(g, "norm", {64}), 1e-5F);
    Value q = nn::heads(g, linear(g, h, weight(g, "q", {64, 64})), 4);
    Value k = nn::heads(g, linear(g, h, weight(g, "k", {32, 64})), 2);
    const Value v = nn::heads(g, linear(g, h, weight(g, "v", {32, 64})), 2);
    if (qk_norm)
      q = rms_norm(g, q, weight(g, "qn", {16}), 1e-5F), k = rms_norm(g, k, weight(g, "kn", {16}), 1e-5F);
    h = linear(g, nn::attend(g, {rope(g, q), rope(g, k), v}, {}), weight(g, "o", {64, 64}));
    x = add(g, x, post_norm ? rms_norm(g, h, weight(g, "pn", {64}), 1e-5F) : h);
    h = rms_norm(g, x, weight(g, "norm2", {64}), 1e-5F);
    h = glu(g, Activation::silu, linear(g, h, weight(g, "gate", {96, 64})),
            linear(g, h, weight(g, "up", {96, 64})));
    x = add(g, x, linear(g, h, weight(g, "down", {64, 96})));
    g.set_output(linear(g, rms_norm(g, gather_rows(g, x), weight(g, "norm3", {64}), 1e-5F),
                        weight(g, "head", {100, 64})));
  }
};

template <class T>
std::vector<T> groups_of(const std::vector<Group>& groups) {
  std::vector<T> found;
  for (const Group& g : groups)
    if (const T* t = std::get_if<T>(&g)) found.push_back(*t);
  return found;
}

// Every operation in one group, and every group behind what it reads.
void expect_valid(const Graph& g, const std::vector<Group>& groups) {
  std::vector<int> group_of(g.nodes().size(), -1);
  for (std::size_t i = 0; i < groups.size(); ++i)
    for (Value v : members(g, groups[i])) {
      EXPECT_EQ(group_of[static_cast<std::size_t>(v.id)], -1) << "node " << v.id << " is in two groups";
      group_of[static_cast<std::size_t>(v.id)] = static_cast<int>(i);
    }
  for (std::size_t n = 0; n < g.nodes().size(); ++n) {
    const bool leaf =
        g.nodes()[n].type.storage == Storage::weight || g.nodes()[n].type.storage == Storage::table;
    EXPECT_EQ(group_of[n] == -1, leaf) << "node " << n;
    for (Value in : g.nodes()[n].inputs) EXPECT_LE(group_of[static_cast<std::size_t>(in.id)], group_of[n]);
  }
}

TEST(Fuse, PlainLayer) {
  const Layer layer(false, false);
  const auto groups = fuse(layer.g);
  expect_valid(layer.g, groups);
  const auto linears = groups_of<LinearGroup>(groups);
  ASSERT_EQ(linears.size(), 5U);  // qkv, o + residual, gate/up, down + residual, head
  EXPECT_EQ(linears[0].outs.size(), 3U);
  EXPECT_TRUE(linears[0].norm);
  EXPECT_TRUE(linears[1].outs[0].residual);
  EXPECT_TRUE(linears[2].glu && linears[2].norm);
  EXPECT_TRUE(linears[3].outs[0].residual);
  EXPECT_TRUE(linears[4].norm);
  ASSERT_EQ(groups_of<AttendPrepare>(groups).size(), 1U);
  EXPECT_TRUE(groups_of<NormAdd>(groups).empty());
}

TEST(Fuse, NormsOfHeadsAndAfterBlocks) {
  const Layer layer(true, true);
  const auto groups = fuse(layer.g);
  expect_valid(layer.g, groups);
  const auto prepare = groups_of<AttendPrepare>(groups);
  ASSERT_EQ(prepare.size(), 1U);
  EXPECT_TRUE(prepare[0].q_norm && prepare[0].k_norm && prepare[0].q_rope);
  EXPECT_EQ(groups_of<NormAdd>(groups).size(), 1U);
}

TEST(Fuse, ExpertsTakeTheirResidual) {
  Graph g;
  const Value x = embed(g, weight(g, "embd", {10, 32}));
  const Value h = rms_norm(g, x, weight(g, "norm", {32}), 1e-5F);
  const nn::Moe moe{.router = {weight(g, "router", {8, 32}), {}},
                    .gate = {weight(g, "gate", {8, 24, 32})},
                    .up = {weight(g, "up", {8, 24, 32})},
                    .down = {weight(g, "down", {8, 32, 24})}};
  g.set_output(gather_rows(g, add(g, x, moe(g, h, {.used = 2}))));
  const auto groups = fuse(g);
  expect_valid(g, groups);
  const auto experts = groups_of<ExpertsAdd>(groups);
  ASSERT_EQ(experts.size(), 1U);
  EXPECT_EQ(experts[0].residual, x);
  EXPECT_FALSE(groups_of<LinearGroup>(groups).at(0).norm);  // the experts read it too
  expect_valid(g, fuse(g, FusionOptions::none()));
}

TEST(Fuse, NoneKeepsEveryOperationAlone) {
  const Layer layer(true, true);
  const auto groups = fuse(layer.g, FusionOptions::none());
  expect_valid(layer.g, groups);
  EXPECT_EQ(groups_of<Single>(groups).size(), groups.size());
}

TEST(Fuse, ProductsThatNeedDifferentInputsStayApart) {
  const Layer layer(false, false);
  FusionOptions options;
  options.share_input = [](DType, DType) { return false; };
  const auto groups = fuse(layer.g, options);
  expect_valid(layer.g, groups);
  for (const LinearGroup& l : groups_of<LinearGroup>(groups)) EXPECT_EQ(l.outs.size(), 1U);
}

TEST(Fuse, AValueReadTwiceIsNotSwallowed) {
  Graph g;
  const Value x = embed(g, weight(g, "embd", {10, 32}));
  const Value y = linear(g, x, weight(g, "w", {32, 32}));
  const Value sum = add(g, x, y);
  g.set_output(gather_rows(g, add(g, sum, y)));  // y is read again
  const auto groups = fuse(g);
  expect_valid(g, groups);
  EXPECT_FALSE(groups_of<LinearGroup>(groups).at(0).outs[0].residual);
}

template <class F>
void expect_error(F&& f, std::string_view message) {
  try {
    f();
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr(std::string(message)));
  }
}

TEST(Graph, RefusesShapesThatDoNotFit) {
  Graph g;
  const Value x = embed(g, weight(g, "embd", {10, 32}));
  expect_error([&] { linear(g, x, weight(g, "w", {8, 33})); }, "linear wants a weight as wide as its input");
  expect_error([&] { rms_norm(g, x, weight(g, "n", {16}), 1e-5F); }, "rms_norm wants");
  expect_error([&] { reshape(g, x, {5, 7}); }, "reshape wants");
  expect_error([&] { add(g, x, linear(g, x, weight(g, "w2", {8, 32}))); }, "binary wants equal widths");
  expect_error([&] { gather_rows(g, gather_rows(g, x)); }, "gather_rows wants");
  expect_error([&] { g.verify(); }, "graph wants an output");
}

TEST(Graph, RefusesExpertsThatDoNotFit) {
  Graph g;
  const Value x = embed(g, weight(g, "embd", {10, 32}));
  const Value logits = linear(g, x, weight(g, "router", {8, 32}));
  for (const std::int64_t used : {0, 9, -1})
    expect_error([&] { route(g, logits, {.used = used}); }, "route wants from one expert to all of them");
  const Value weights = route(g, logits, {.used = 2});
  const auto with = [&](Shape gate, Shape up, Shape down, std::int64_t used = 2) {
    return experts(g, x, weights, {weight(g, "gate", gate), weight(g, "up", up), weight(g, "down", down)},
                   {.used = used});
  };
  EXPECT_EQ(g[with({8, 24, 32}, {8, 24, 32}, {8, 32, 24})].type, g[x].type);
  expect_error([&] { with({7, 24, 32}, {7, 24, 32}, {7, 32, 24}); }, "experts wants gate and up");
  expect_error([&] { with({8, 24, 32}, {8, 24, 32}, {8, 24, 32}); }, "experts wants gate and up");
  expect_error([&] { with({8, 24, 32}, {8, 25, 32}, {8, 32, 24}); }, "experts wants gate and up");
  expect_error([&] { with({192, 32}, {192, 32}, {256, 24}); }, "experts wants stacked matrices");
  expect_error([&] { with({8, 24, 32}, {8, 24, 32}, {8, 32, 24}, 9); }, "experts wants from one expert");
}

TEST(Graph, ExpertsCostWhatARowUses) {
  const Experts experts{.used = 2};
  const auto stack = [](Shape shape) {
    return ValueType{Storage::weight, RowCount::one, DType::q8_0, shape};
  };
  const ValueType x = ValueType::activations(RowCount::tokens, {32}),
                  weights = ValueType::activations(RowCount::tokens, {8});
  const ValueType in[] = {x, weights, stack({8, 64, 32}), stack({8, 64, 32}), stack({8, 32, 64})};
  EXPECT_EQ(experts.cost(in).flops_per_row, 2 * 3 * 2 * 64 * 32);
  EXPECT_EQ(experts.cost(in).weight_bytes, 2 * (64 * 34 + 64 * 34 + 32 * 68));
}

TEST(Graph, UnusedResultsAreRefused) {
  Graph g;
  const Value x = embed(g, weight(g, "embd", {10, 32}));
  linear(g, x, weight(g, "w", {8, 32}));
  g.set_output(gather_rows(g, x));
  expect_error([&] { g.verify(); }, "linear wants to be used");
}

TEST(Graph, LayersWithOneWindowShareAGroup) {
  Graph g;
  for (std::int64_t window : {512, 512, 0, 512, 0})
    g.add_kv_layer({.heads = 1, .k_dim = 32, .v_dim = 32, .window = window});
  EXPECT_EQ(g.group_windows().size(), 2U);
  EXPECT_EQ(g.kv_layers()[3].group, 0);
  EXPECT_EQ(g.kv_layers()[4].group, 1);
}

TEST(Graph, PrintsItsValues) {
  const Layer layer(false, false);
  EXPECT_THAT(to_string(layer.g), HasSubstr("rms_norm %2, %3 : (tokens, 64)"));
}

}  // namespace
}  // namespace medlar::ir
