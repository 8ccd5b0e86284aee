// Successive halving over paired measurements: which of a few settings is the fastest, on a machine whose own
// speed drifts and jumps.
//
// Measurements of one round stand beside each other in time, so the machine's speed cancels out of their
// ratios; every other round goes backwards, so a steady drift cancels out of their median. After each stage
// the slower half is left out and the next has twice the rounds, so time goes to what is hard to tell apart.
// Sequential halving: Karnin, Koren, Somekh, "Almost Optimal Exploration in Multi-Armed Bandits" (2013);
// Jamieson, Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (2016).
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

namespace medlar::tune {

// Seconds that a run of a candidate takes now; nothing: no more of them are wanted.
using Measure = std::function<std::optional<double>(std::size_t candidate)>;

// A candidate beside candidate 0, which is what it has to beat.
struct Rival {
  std::size_t candidate = 0;
  std::vector<double> ratios;  // candidate 0's seconds over its own, of each round: above 1 is faster

  double median() const;  // 0 without a round
  // Faster by a hundredth in the median, in at least four rounds and in all of them but one of each eight.
  // Between equals the chance of that is 1/16 with four rounds and 9/256 with eight (a sign test).
  bool wins() const;
};

struct Halving {
  std::size_t best = 0;           // 0 where nothing beats it
  bool complete = true;           // else stopped, and `best` is the best so far
  std::vector<Rival> tried;       // in the order they were left out; the last came furthest
  std::vector<double> reference;  // candidate 0's seconds in the rounds of tried.back()
};

// Halves candidates 1 to `candidates` - 1 until one is left, and then has a duel with it. Who was slower than
// candidate 0 in every round is left out with the slower half.
Halving halve(std::size_t candidates, const Measure& measure);
// Candidates 0 and 1 in eight rounds.
Halving duel(const Measure& measure);

// The most measurements that they make.
int most_measurements(std::size_t candidates);
inline constexpr int kDuelMeasurements = 16;

}  // namespace medlar::tune
