// The choice of types: against every possible choice of small cases.
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "base/error.h"
#include "quant/allocate.h"

namespace medlar::quant {
namespace {

using Tensors = std::vector<std::vector<TypeOption>>;

Tensors some(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Tensors tensors(5);
  for (auto& options : tensors) {
    const std::uint64_t size = 1 + random() % 50;
    const double loss = static_cast<double>(1 + random() % 1000);
    for (std::uint64_t bits = 2; bits <= 6; ++bits)
      options.push_back(
          {DType::q4_0, size * bits,
           loss / static_cast<double>(1 << (2 * bits)) * (1 + static_cast<double>(random() % 100) / 100)});
  }
  return tensors;
}

// The least loss within so many bytes, by looking at all choices.
double best_loss(const Tensors& tensors, std::uint64_t bytes) {
  std::vector<std::size_t> chosen(tensors.size(), 0);
  double best = std::numeric_limits<double>::infinity();
  for (;;) {
    if (bytes_of(tensors, chosen) <= bytes) best = std::min(best, loss_of(tensors, chosen));
    std::size_t t = 0;
    while (t < chosen.size() && ++chosen[t] == tensors[t].size()) chosen[t++] = 0;
    if (t == chosen.size()) return best;
  }
}

TEST(Allocate, IsNearTheBestOfAllChoices) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Tensors tensors = some(seed);
    std::uint64_t least = 0, most = 0;
    for (const auto& options : tensors) least += options.front().bytes, most += options.back().bytes;
    for (const double share : {0.2, 0.5, 0.8}) {
      const auto bytes = least + static_cast<std::uint64_t>(share * static_cast<double>(most - least));
      const auto chosen = allocate_bytes(tensors, bytes);
      EXPECT_LE(bytes_of(tensors, chosen), bytes);
      // The relaxation loses at most one step; with five tensors that is much.
      EXPECT_LE(loss_of(tensors, chosen), 1.7 * best_loss(tensors, bytes)) << seed;
    }
  }
}

TEST(Allocate, TheRelaxationIsOptimalAtItsOwnSizes) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Tensors tensors = some(seed);
    const double coarse = loss_of(tensors, std::vector<std::size_t>(tensors.size(), 0));
    for (const double share : {0.3, 0.1, 0.01}) {
      const auto chosen = allocate_loss(tensors, share * coarse);
      EXPECT_LE(loss_of(tensors, chosen), share * coarse);
      EXPECT_NEAR(loss_of(tensors, chosen), best_loss(tensors, bytes_of(tensors, chosen)), 1e-9) << seed;
    }
  }
}

TEST(Allocate, DominatedOptionsAreNeverTaken) {
  const Tensors tensors{
      {{DType::q4_0, 10, 5}, {DType::q4_1, 12, 6}, {DType::q5_0, 14, 1}, {DType::q5_1, 14, 2}}};
  EXPECT_EQ(allocate_bytes(tensors, 13)[0], 0);
  EXPECT_EQ(allocate_bytes(tensors, 99)[0], 2);
  EXPECT_EQ(allocate_loss(tensors, 5)[0], 0);
  EXPECT_EQ(allocate_loss(tensors, 0)[0], 2);
}

TEST(Allocate, TooFewBytesAreAnError) {
  const Tensors tensors{{{DType::q4_0, 10, 5}}};
  EXPECT_THROW(allocate_bytes(tensors, 9), Error);
}

}  // namespace
}  // namespace medlar::quant
