// Models spread over several devices: whichever layers are where, results are those of one device.
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "ir/build.h"
#include "ir/cut.h"
#include "runtime/emulator/backend.h"
#include "runtime/staged.h"
#include "tests/gpu/tiny_steps.h"

namespace medlar::runtime {
namespace {

using testing::batches;
using testing::expect_same;
using testing::options;
using testing::run;
using testing::Tiny;
using testing::TinyModel;

std::shared_ptr<Backend> cpu() {
  return make_cpu_backend(std::make_shared<Team>(TeamOptions{.threads = 2}), kernels::CpuTable::reference());
}
std::shared_ptr<Backend> gpu() {
  return make_emulator_backend({.tuning = {.keys_per_split = 16, .bytes = true}});
}

std::vector<TinyModel> models() {
  return {{.type = DType::q8_0, .layers = 4, .head_dim = 32},
          {.architecture = "gemma3", .layers = 4, .tied = true},
          {.architecture = "qwen3moe", .layers = 4, .experts = 5, .experts_used = 2, .tied = false}};
}

// The arithmetic of a layer is the same wherever it is.
TEST(Staged, SplitsBetweenGpusAreEqual) {
  for (const TinyModel& model : models()) {
    const Tiny tiny(model);
    const std::vector<float> whole = run(*gpu(), tiny.model.graph, options(false, true));
    for (const std::vector<std::int64_t>& layers : {std::vector<std::int64_t>{0, 4}, {1, 2, 1}}) {
      std::vector<Stage> stages;
      for (const std::int64_t n : layers) stages.push_back({gpu(), n});
      const auto backend = make_staged_backend("gpus", stages);
      EXPECT_EQ(run(*backend, tiny.model.graph, options(false, true)), whole) << model.architecture;
    }
  }
}

TEST(Staged, ProcessorAndGpuAgreeWithTheReferences) {
  for (const TinyModel& model : models()) {
    const Tiny tiny(model);
    for (const std::vector<Stage>& stages :
         {std::vector<Stage>{{cpu(), 3}, {gpu(), 1}}, {{cpu(), 1}, {gpu(), 1}, {cpu(), 2}}})
      expect_same(run(*make_staged_backend("both", stages), tiny.model.graph, options(true, true)),
                  tiny.expected, 1e-5);
  }
}

TEST(Staged, PlansWhatItTakesOnEachDevice) {
  const Tiny tiny({.architecture = "gemma3", .layers = 4, .tied = false});
  const auto backend = make_staged_backend("three", {{cpu(), 1}, {gpu(), 2}, {gpu(), 1}});
  ProgramOptions how = options(true, true);
  how.guard = false;
  const std::vector<MemoryPlan> plans = backend->plans(tiny.model.graph, how);
  const auto program = backend->lower(tiny.model.graph, how);
  const std::vector<const Program*> parts = program->parts();
  ASSERT_EQ(plans.size(), 3U);
  ASSERT_EQ(parts.size(), 3U);
  std::int64_t weights = 0, kv = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(plans[i].weights, parts[i]->memory().weights);
    EXPECT_EQ(plans[i].kv, parts[i]->memory().kv);
    EXPECT_EQ(plans[i].activations, parts[i]->memory().activations);
    weights += plans[i].weights, kv += plans[i].kv;
  }
  EXPECT_EQ(weights, tiny.model.graph.weight_bytes());
  EXPECT_EQ(program->memory().weights, weights);
  EXPECT_EQ(backend->plan(tiny.model.graph, how).kv, kv);
  EXPECT_EQ(cpu()->plan(tiny.model.graph, how).kv, kv);
}

// What a page holds goes out of all devices and back into all, whatever layers they have of its group.
TEST(Staged, PagesAreThoseOfAllDevices) {
  const Tiny tiny({.architecture = "gemma3", .layers = 4});
  const auto backend = make_staged_backend("both", {{cpu(), 1}, {gpu(), 3}});
  const auto program = backend->lower(tiny.model.graph, options(true, true));
  for (const testing::Batch& b : batches()) program->run(b.step());
  for (int group = 0; group < 2; ++group) {
    std::size_t bytes = 0;
    for (const Program* part : program->parts()) bytes += part->page_bytes(group);
    ASSERT_EQ(program->page_bytes(group), bytes);
    std::vector<std::byte> page(bytes), other(bytes);
    program->read_page(group, 3, page);
    EXPECT_TRUE(std::ranges::any_of(page, [](std::byte b) { return b != std::byte{}; }));
    program->read_page(group, 1, other);
    EXPECT_NE(page, other);
    program->copy_page(group, 3, 1);
    program->read_page(group, 1, other);
    EXPECT_EQ(page, other);
    std::ranges::reverse(page);
    program->write_page(group, 1, page);
    program->read_page(group, 1, other);
    EXPECT_EQ(page, other);
  }
}

TEST(Staged, TellsOfAllCalls) {
  const Tiny tiny({.layers = 4});
  const auto program =
      make_staged_backend("both", {{cpu(), 1}, {cpu(), 3}})->lower(tiny.model.graph, options(true, true));
  std::vector<std::chrono::nanoseconds> ends;
  program->observe([&](const kernels::Step&, std::span<const std::chrono::nanoseconds> all) {
    ends.assign(all.begin(), all.end());
  });
  program->run(batches().front().step());
  EXPECT_EQ(ends.size(), program->calls().size());
  EXPECT_TRUE(std::ranges::is_sorted(ends));
  for (const CallInfo& call : program->calls()) EXPECT_EQ(call.device, "cpu 0");
  const auto mixed =
      make_staged_backend("both", {{cpu(), 1}, {gpu(), 3}})->lower(tiny.model.graph, options(true, true));
  std::set<std::string> devices;
  for (const CallInfo& call : mixed->calls()) devices.insert(call.device);
  EXPECT_EQ(devices, (std::set<std::string>{"cpu", "emulator"}));
  program->observe(nullptr);
}

TEST(Staged, LayersThatShareMoreAreNotCut) {
  using namespace ir;  // NOLINT: a graph
  Graph g;
  const auto weight = [&](std::int64_t n, std::int64_t k) { return g.weight("w", {DType::f32, {n, k}, {}}); };
  Value x = embed(g, weight(10, 32));
  const Value first = x;
  for (int i = 0; i < 2; ++i) {
    const int layer = g.add_kv_layer({.heads = 1, .k_dim = 32, .v_dim = 32});
    const Value h = reshape(g, linear(g, x, weight(32, 32)), {1, 32});
    const Value a = attention(g, h, kv_write(g, h, layer, KvPart::key), kv_write(g, h, layer, KvPart::value),
                              {.layer = layer});
    x = add(g, x, reshape(g, a, {32}));
    x = add(g, x, first);  // every layer reads the first one's input as well
  }
  g.set_output(gather_rows(g, x));
  try {
    layer_borders(g);
    FAIL() << "cut";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_NE(error.hint().find("--gpu-layers"), std::string::npos);
  }
}

}  // namespace
}  // namespace medlar::runtime
