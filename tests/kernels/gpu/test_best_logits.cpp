// best_logits, as often as a row is long, against a sorted copy of the row.
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using Row = std::vector<float>;

constexpr float kInf = std::numeric_limits<float>::infinity();

class GpuBestLogits : public OnEmulator {
 protected:
  // The tokens and logits that the kernel lists of each row; free places left out.
  std::vector<std::vector<gpu::TokenLogit>> list(const std::vector<Row>& rows) {
    TestStep step = tokens_only(rows.size());
    step.rows.resize(rows.size());
    const auto counts = step.counts();
    Row all;
    for (const Row& row : rows) all.insert(all.end(), row.begin(), row.end());
    const Guarded<float> logits(all);
    auto lists = std::make_unique<Guarded<gpu::TokenLogit>>(1);
    for (std::size_t n = rows[0].size(), merge = 0;; merge = 1) {
      const u32 parts = ceil_div(static_cast<std::int64_t>(n), gpu::kBestPart);
      auto better = std::make_unique<Guarded<gpu::TokenLogit>>(rows.size() * parts * gpu::kBest);
      // A row more than there are.
      launch("best_logits", {parts, to_u32(std::ssize(rows) + 1)},
             gpu::BestParams{static_cast<u32>(n), static_cast<u32>(merge)},
             {&counts, logits.data(), lists->data(), better->data()});
      lists = std::move(better), n = std::size_t{parts} * gpu::kBest;
      if (parts == 1) break;
    }
    std::vector<std::vector<gpu::TokenLogit>> result(rows.size());
    for (std::size_t i = 0; i < lists->size(); ++i)
      if ((*lists)[i].token >= 0) result[i / gpu::kBest].push_back((*lists)[i]);
    return result;
  }

  void expect_best(const std::vector<Row>& rows) {
    const auto lists = list(rows);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::vector<i32> tokens;
      for (std::size_t i = 0; i < rows[r].size(); ++i)
        if (rows[r][i] > -kInf) tokens.push_back(static_cast<i32>(i));
      const auto logit = [&](i32 token) { return rows[r][static_cast<std::size_t>(token)]; };
      std::ranges::stable_sort(tokens, [&](i32 a, i32 b) { return logit(a) > logit(b); });
      tokens.resize(std::min<std::size_t>(tokens.size(), gpu::kBest));
      std::ranges::sort(tokens);
      ASSERT_EQ(lists[r].size(), tokens.size()) << "row " << r << " of " << rows[r].size();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        ASSERT_EQ(lists[r][i].token, tokens[i]) << "row " << r << " of " << rows[r].size();
        ASSERT_EQ(lists[r][i].logit, logit(tokens[i]));
      }
    }
  }
};

TEST_P(GpuBestLogits, OfRowsOfAnyLength) {
  for (std::size_t n : {1, 100, 127, 128, 129, 1003, 8192, 8193, 20000})
    expect_best({random_floats(n, random, 4), random_floats(n, random, 4)});
}

// A part has more lists than a threadgroup takes: one list more in between.
TEST_P(GpuBestLogits, OfRowsOfManyParts) { expect_best({random_floats(65 * gpu::kBestPart + 4, random)}); }

TEST_P(GpuBestLogits, OfEqualLogitsTheFirstTokens) {
  for (std::size_t n : {300, 17000}) {
    Row same(n, -2.5F), few(n), zeros(n);
    for (float& x : few) x = static_cast<float>(random() % 40);
    for (std::size_t i = 0; i < n; ++i) zeros[i] = i % 3 == 0 ? -0.0F : i % 3 == 1 ? 0.0F : -1.0F;
    expect_best({same, few, zeros});
  }
}

TEST_P(GpuBestLogits, NothingThatCannotBeChosen) {
  constexpr std::size_t kLength = 9000;
  const float most = std::numeric_limits<float>::max();
  Row none(kLength, NAN), banned(kLength, -kInf), few(kLength, -kInf),
      extreme = random_floats(kLength, random);
  few[17] = 1, few[8999] = -most, few[5] = NAN, few[8200] = kInf;
  for (std::size_t i = 0; i < kLength; i += 7) extreme[i] = i % 2 == 0 ? kInf : NAN;
  for (std::size_t i = 3; i < kLength; i += 7) extreme[i] = i % 2 == 0 ? -most : 1e-42F;
  expect_best({none, banned, few, extreme});
}

MEDLAR_EVERY_ORDER(GpuBestLogits);

}  // namespace
}  // namespace medlar::testing
