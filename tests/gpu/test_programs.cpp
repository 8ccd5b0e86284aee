// Whole models on the emulator against the scalar references: every order of threads and every fragment
// layout.
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
  for (const char* architecture : {"llama", "gemma3"}) {
    const Tiny tiny({.architecture = architecture});
    for (bool fuse : {false, true}) {
      const auto backend =
          make_emulator_backend({.machine = GetParam(), .tuning = {.keys_per_split = 16, .max_splits = 5}});
      expect_same(run(*backend, tiny.model.graph, options(true, fuse)), tiny.expected, 1e-5);
      // Products of more than eight rows go through f16 tiles.
      expect_same(run(*backend, tiny.model.graph, options(false, fuse)), tiny.expected, 1e-2);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Orders, GpuPrograms,
    ::testing::Values(emulator::MachineOptions{.order = emulator::Order::forward,
                                               .fragments = emulator::FragmentLayout::metal},
                      emulator::MachineOptions{.order = emulator::Order::reverse,
                                               .fragments = emulator::FragmentLayout::cuda},
                      emulator::MachineOptions{.order = emulator::Order::shuffled,
                                               .fragments = emulator::FragmentLayout::scrambled}));

// Page tables that are longer than the cache has pages: a window's sequence goes on for ever.
TEST(GpuProgram, PageTablesGrow) {
  const Tiny tiny({.architecture = "gemma3"});
  const auto backend = make_emulator_backend();
  expect_same(run(*backend, tiny.model.graph, options(true, true), 1000), tiny.expected, 1e-5);
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
