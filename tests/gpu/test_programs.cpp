// Whole models on the emulator against the scalar references: several sequences in one batch, split
// attention, tile products, every order of threads and every fragment layout.
#include <cmath>
#include <memory>
#include <numeric>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/team.h"
#include "checkpoint/gguf.h"
#include "kernels/cpu/table.h"
#include "models/model.h"
#include "runtime/cpu/backend.h"
#include "runtime/emulator/backend.h"
#include "tests/support/tiny_model.h"

namespace medlar::runtime {
namespace {

constexpr std::int32_t kVocab = testing::kTinyVocab;
constexpr std::int32_t kSequences = 3, kStride = 4;

// A batch of several sequences' tokens, with page tables of its own.
struct Batch {
  std::vector<std::int32_t> tokens, positions, sequences, rows;
  std::vector<std::int32_t> pages;  // (kSequences, stride)
  std::int32_t stride = kStride;

  kernels::Step step() const {
    kernels::Step s{.tokens = static_cast<std::int32_t>(tokens.size()),
                    .logit_rows = static_cast<std::int32_t>(rows.size())};
    s.token_ids = tokens.data(), s.positions = positions.data(), s.sequences = sequences.data(),
    s.rows = rows.data();
    for (auto& table : s.pages) table = {pages.data(), stride};
    return s;
  }
  void add(std::int32_t sequence, std::int32_t position, bool wanted) {
    if (wanted) rows.push_back(static_cast<std::int32_t>(tokens.size()));
    tokens.push_back((sequence * 91 + position * 17) % 250);
    positions.push_back(position);
    sequences.push_back(sequence);
  }
};

// Sequences of 0..100 tokens that grow unevenly: prompts, single tokens, and both in one batch.
std::vector<Batch> batches(std::int32_t stride = kStride) {
  std::vector<std::int32_t> pages(static_cast<std::size_t>(kSequences * stride), -1);
  for (std::int32_t s = 0; s < kSequences; ++s)
    for (std::int32_t p = 0; p < 2; ++p)
      pages[static_cast<std::size_t>(s * stride + p)] = (5 * (s * 2 + p) + 3) % 6;
  std::vector<std::int32_t> lengths(kSequences, 0);
  std::vector<Batch> all;
  for (const auto& counts : {std::array{24, 0, 0},
                             {1, 13, 0},
                             {20, 2, 2},
                             {1, 1, 1},
                             {24, 0, 0},
                             {0, 0, 8},
                             {1, 0, 0},
                             {0, 9, 9}}) {
    Batch b;
    b.pages = pages, b.stride = stride;
    for (std::size_t s = 0; s < kSequences; ++s)
      for (int i = 0; i < counts[s]; ++i)
        b.add(static_cast<std::int32_t>(s), lengths[s]++, i + 1 == counts[s] || i == 3);
    all.push_back(std::move(b));
  }
  return all;
}

ProgramOptions options(bool exact, bool fuse) {
  return {.max_tokens = 24,
          .max_logit_rows = 6,
          .max_sequences = kSequences,
          .k_type = DType::f32,
          .v_type = DType::f32,
          .kv_pages = {6, 6, 6, 6},
          .fuse = fuse,
          .exact = exact,
          .guard = true};
}

std::vector<float> run(Backend& backend, const ir::Graph& graph, const ProgramOptions& how,
                       std::int32_t stride = kStride) {
  const auto program = backend.lower(graph, how);
  std::vector<float> logits;
  for (const Batch& b : batches(stride)) {
    program->run(b.step());
    program->check_guards();
    logits.insert(logits.end(), program->logits().begin(), program->logits().end());
  }
  return logits;
}

struct Tiny {
  testing::TemporaryFolder folder;
  gguf::File file;
  models::Model model;
  std::vector<float> expected;

  explicit Tiny(const testing::TinyModel& tiny) : file(write(folder, tiny)), model(models::build(file)) {
    const auto reference =
        make_cpu_backend(std::make_shared<Team>(TeamOptions{.threads = 1}), kernels::CpuTable::reference());
    expected = run(*reference, model.graph, options(true, false));
  }
  static gguf::File write(const testing::TemporaryFolder& folder, const testing::TinyModel& tiny) {
    testing::write_tiny_model(folder / "m.gguf", tiny);
    return gguf::File::open(folder / "m.gguf");
  }
};

void expect_same(const std::vector<float>& got, const std::vector<float>& want, double bound) {
  ASSERT_EQ(got.size(), want.size());
  double scale = 0;
  for (float w : want) scale = std::max(scale, std::abs(static_cast<double>(w)));
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], bound * scale) << "row " << i / kVocab << ", token " << i % kVocab;
}

class GpuPrograms : public ::testing::TestWithParam<emulator::MachineOptions> {};

TEST_P(GpuPrograms, AgreeWithTheReferences) {
  for (const char* architecture : {"llama", "gemma3"}) {
    const Tiny tiny({.architecture = architecture});
    for (bool fuse : {false, true}) {
      const auto backend = make_emulator_backend(
          {.machine = GetParam(), .tuning = {.keys_per_split = 16, .max_splits = 5, .bytes = fuse}});
      expect_same(run(*backend, tiny.model.graph, options(true, fuse)), tiny.expected, 1e-5);
      // Products of more than eight rows go through f16 tiles.
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
