// Tiny models run through steps that grow several sequences unevenly, and what the scalar references say of
// them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "base/team.h"
#include "checkpoint/gguf.h"
#include "kernels/cpu/table.h"
#include "models/model.h"
#include "runtime/cpu/backend.h"
#include "tests/support/tiny_model.h"

namespace medlar::testing {

inline constexpr std::int32_t kSequences = 3, kStride = 4;

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
inline std::vector<Batch> batches(std::int32_t stride = kStride) {
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

inline runtime::ProgramOptions options(bool exact, bool fuse) {
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

inline std::vector<float> run(runtime::Backend& backend, const ir::Graph& graph,
                              const runtime::ProgramOptions& how, std::int32_t stride = kStride) {
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
  TemporaryFolder folder;
  gguf::File file;
  models::Model model;
  std::vector<float> expected;

  explicit Tiny(const TinyModel& tiny) : file(write(folder, tiny)), model(models::build({file})) {
    const auto reference = runtime::make_cpu_backend(std::make_shared<Team>(TeamOptions{.threads = 1}),
                                                     kernels::CpuTable::reference());
    expected = run(*reference, model.graph, options(true, false));
  }
  static gguf::File write(const TemporaryFolder& folder, const TinyModel& tiny) {
    write_tiny_model(folder / "m.gguf", tiny);
    return gguf::File::open(folder / "m.gguf");
  }
};

inline void expect_same(const std::vector<float>& got, const std::vector<float>& want, double bound) {
  ASSERT_EQ(got.size(), want.size());
  double scale = 0;
  for (float w : want) scale = std::max(scale, std::abs(static_cast<double>(w)));
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], bound * scale) << "row " << i / kTinyVocab << ", token " << i % kTinyVocab;
}

}  // namespace medlar::testing
