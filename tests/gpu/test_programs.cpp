// Whole models on the emulator against the scalar references: every order of threads and every fragment
// layout.
#include <algorithm>
#include <limits>
#include <memory>

#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/emulator/backend.h"
#include "tests/gpu/tiny_steps.h"

namespace medlar::runtime {
namespace {

using testing::Batch;
using testing::batches;
using testing::expect_same;
using testing::options;
using testing::run;
using testing::Tiny;

class GpuPrograms : public ::testing::TestWithParam<emulator::MachineOptions> {};

TEST_P(GpuPrograms, AgreeWithTheReferences) {
  for (const testing::TinyModel& model : {testing::TinyModel{},
                                          {.architecture = "gemma3"},
                                          {.architecture = "qwen3moe", .experts = 5, .experts_used = 2}}) {
    const Tiny tiny(model);
    for (bool fuse : {false, true}) {
      const auto backend = make_emulator_backend(
          {.machine = GetParam(), .tuning = {.keys_per_split = 16, .max_splits = 5, .bytes = fuse}});
      expect_same(run(*backend, tiny.model.graph, options(true, fuse)), tiny.expected, 1e-5);
      // Products of more than eight rows, or with experts of as many, go through f16 tiles.
      expect_same(run(*backend, tiny.model.graph, options(false, fuse)), tiny.expected, 1e-2);
    }
  }
}

// Activations of eight bits: results of the same model, less exactly, whether steps are fused or not.
TEST_P(GpuPrograms, AgreeWithActivationsOfBytes) {
  for (const char* architecture : {"llama", "qwen3", "gemma3"}) {
    const Tiny tiny({.architecture = architecture, .type = DType::q8_0});
    const auto backend = make_emulator_backend(
        {.machine = GetParam(), .tuning = {.keys_per_split = 16, .max_splits = 5, .bytes = true}});
    for (bool fuse : {false, true})
      expect_same(run(*backend, tiny.model.graph, options(false, fuse)), tiny.expected, 3e-2);
  }
}

// Products in registers, in parts, for steps of more than eight rows; dense ones whose norm is made as they
// read.
TEST_P(GpuPrograms, AgreeInRegisters) {
  for (const testing::TinyModel& model : {testing::TinyModel{.type = DType::q4_k, .dim = 256, .ffn = 1024},
                                          {.architecture = "gemma3"},
                                          {.architecture = "qwen2"}}) {
    const Tiny tiny(model);
    const auto backend = make_emulator_backend(
        {.machine = GetParam(), .tuning = {.bytes = true, .lane_rows = 64, .cores = 16}});
    for (bool fuse : {false, true})
      expect_same(run(*backend, tiny.model.graph, options(false, fuse)), tiny.expected,
                  model.type == DType::q4_k ? 3e-2 : 1e-2);
  }
}

// Products over unpacked weights, for steps of more than eight rows.
TEST_P(GpuPrograms, AgreeOverUnpackedWeights) {
  for (const testing::TinyModel& model :
       {testing::TinyModel{.type = DType::q8_0}, {.architecture = "gemma3"}, {.architecture = "qwen2"}}) {
    const Tiny tiny(model);
    const auto backend =
        make_emulator_backend({.machine = GetParam(), .tuning = {.wgmma_rows = 9, .cores = 2}});
    for (bool fuse : {false, true})
      expect_same(run(*backend, tiny.model.graph, options(false, fuse)), tiny.expected, 1e-2);
  }
}

// A device of more cores than a product has tiles: the columns of its matrix are divided.
TEST(GpuProgram, DividesProductsOfFewTiles) {
  const Tiny tiny({.ffn = 1024});
  const auto backend = make_emulator_backend({.tuning = {.cores = 16}});
  expect_same(run(*backend, tiny.model.graph, options(false, true)), tiny.expected, 1e-2);
}

INSTANTIATE_TEST_SUITE_P(
    Orders, GpuPrograms,
    ::testing::Values(emulator::MachineOptions{.order = emulator::Order::forward,
                                               .fragments = emulator::FragmentLayout::metal},
                      emulator::MachineOptions{.order = emulator::Order::reverse,
                                               .fragments = emulator::FragmentLayout::cuda},
                      emulator::MachineOptions{.order = emulator::Order::shuffled,
                                               .fragments = emulator::FragmentLayout::scrambled}));

// The lists of the best are those of the logits, which are read row by row, or are the same without them.
TEST(GpuProgram, FindsTheBestOfEachRow) {
  const Tiny tiny({});
  const auto backend = make_emulator_backend();
  ProgramOptions how = options(true, true);
  how.best = true;
  const auto program = backend->lower(tiny.model.graph, how),
             plain = backend->lower(tiny.model.graph, options(true, true));
  for (const Batch& b : batches()) {
    program->run(b.step()), plain->run(b.step());
    program->check_guards();
    const auto rows = static_cast<std::int32_t>(b.rows.size());
    for (std::int32_t row = rows; row-- > 0;) {
      std::vector<float> logits(program->logits(row).begin(), program->logits(row).end());
      EXPECT_TRUE(std::ranges::equal(logits, plain->logits(row)));
      EXPECT_TRUE(plain->best(row).empty());
      const auto best = program->best(row);
      ASSERT_FALSE(best.empty());
      for (const TokenLogit& t : best) {
        EXPECT_EQ(t.logit, logits[static_cast<std::size_t>(t.token)]);
        logits[static_cast<std::size_t>(t.token)] = -std::numeric_limits<float>::infinity();
      }
      EXPECT_LE(std::ranges::max(logits), std::ranges::min(best, {}, &TokenLogit::logit).logit);
      if (row != rows / 2) continue;
      EXPECT_TRUE(std::ranges::equal(program->logits(), plain->logits()));
    }
  }
}

// Page tables that are longer than the cache has pages: a window's sequence goes on for ever.
TEST(GpuProgram, PageTablesGrow) {
  const Tiny tiny({.architecture = "gemma3"});
  const auto backend = make_emulator_backend();
  expect_same(run(*backend, tiny.model.graph, options(true, true), 1000), tiny.expected, 1e-5);
}

// Logits of one sequence that is cut into steps of the given sizes, beside another one in some.
std::vector<float> cut(const ir::Graph& graph, const ProgramOptions& how, const std::vector<int>& sizes) {
  const auto backend = make_emulator_backend({.tuning = {.keys_per_split = 16}});
  const auto program = backend->lower(graph, how);
  std::vector<float> logits;
  std::int32_t length = 0, other = 0;
  for (int size : sizes) {
    Batch b;
    b.pages = batches().front().pages;
    if (size % 2 == 0) b.add(1, other++, false);
    for (int i = 0; i < size; ++i) b.add(0, length++, i + 1 == size);
    program->run(b.step());
    if (length % 30 == 0) logits.insert(logits.end(), program->logits().begin(), program->logits().end());
  }
  return logits;
}

// And without that option they do.
TEST(GpuProgram, BatchInvariantLogitsDependOnNoStep) {
  for (const testing::TinyModel& model :
       {testing::TinyModel{.type = DType::q8_0, .head_dim = 32},
        {.architecture = "gemma3"},
        {.architecture = "qwen3moe", .head_dim = 32, .experts = 5, .experts_used = 2}}) {
    const Tiny tiny(model);
    ProgramOptions how = options(false, true);
    for (bool invariant : {true, false}) {
      how.batch_invariant = invariant;
      const std::vector<int> singles(60, 1);
      const std::vector<float> whole = cut(tiny.model.graph, how, {22, 8, 20, 10});
      for (const std::vector<int>& sizes :
           {singles, std::vector<int>{7, 23, 2, 8, 4, 9, 7}, std::vector<int>{23, 7, 5, 22, 3}})
        EXPECT_EQ(cut(tiny.model.graph, how, sizes) == whole, invariant) << model.architecture;
    }
  }
}

TEST(GpuProgram, PlansWhatItTakes) {
  const Tiny tiny({});
  const auto backend = make_emulator_backend();
  ProgramOptions how = options(true, true);
  how.guard = false;
  const MemoryPlan plan = backend->plan(tiny.model.graph, how);
  const auto program = backend->lower(tiny.model.graph, how);
  EXPECT_EQ(plan.weights, program->memory().weights);
  EXPECT_EQ(plan.kv, program->memory().kv);
  EXPECT_EQ(plan.activations, program->memory().activations);
  EXPECT_GT(plan.activations, 0);
  EXPECT_FALSE(program->calls().empty());
}

TEST(GpuProgram, RefusesHeadsThatTheCacheCannotHold) {
  const Tiny tiny({.head_dim = 16});
  ProgramOptions how = options(true, true);
  how.k_type = DType::q8_0;
  try {
    make_emulator_backend()->lower(tiny.model.graph, how);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::unsupported);
    EXPECT_FALSE(e.hint().empty());
  }
}

// Pages that are given back hold nothing any more; the others are as they were.
TEST(GpuProgram, ReleasesPages) {
  const Tiny tiny({});
  const auto backend = make_emulator_backend();
  const auto program = backend->lower(tiny.model.graph, options(true, true));
  const auto logits = [&](const Batch& b) {
    program->run(b.step());
    return std::vector<float>(program->logits().begin(), program->logits().end());
  };
  const std::vector<Batch> all = batches();
  logits(all[0]), logits(all[1]);
  const std::vector<float> before = logits(all[3]);
  program->release_pages(0, std::array{0, 2, 4});  // none that is in use
  EXPECT_EQ(logits(all[3]), before);
  program->release_pages(0, std::array{3});  // the first sequence's
  EXPECT_NE(logits(all[3]), before);
}

}  // namespace
}  // namespace medlar::runtime
