// Configurations that fit into a limit, those nearest to what was wanted first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/plan.h"
#include "store/model_ref.h"

namespace medlar::host {

// Which of the settings may be changed.
struct Freedom {
  bool context = true, kv_type = true, parallel = true;
};

struct Wanted {
  EngineOptions options;
  std::int64_t limit =
      0;  // bytes that MemoryNeed::total() may be; what a device has room for, it says itself
  std::int64_t draft = 0;  // bytes of them that a draft model takes
  std::int64_t more = 0;   // bytes of weights beyond the model's own; negative: fewer
  Freedom may;
};

struct Configuration {
  EngineOptions options;
  std::string model;       // another one, as a user types it; empty: the same
  std::string change;      // what differs from what was wanted, "a context of 8192 tokens"
  std::string flags;       // to type, "--ctx 8192 --kv-type q4_0"
  std::int64_t bytes = 0;  // in all memories
  // How far from what was wanted: 1 for half the context, 0.25 for 8-bit keys and values instead of floats
  // and 1.25 for 4-bit ones, 0.5 for half the requests at once; for fewer bits a weight what 2^(6 - bits)
  // grows by; for another model of its family 2.5, of its architecture 3.5, and twice the binary logarithm of
  // how many times fewer parameters it has.
  double loss = 0;
};

// The least context that is ever offered, in tokens.
inline constexpr std::int64_t kLeastContext = 512;

// Settings of the same model, each as large as fits, nearest first; the first is what was wanted, if that
// fits. Empty: none does.
std::vector<Configuration> fitting_settings(Planner& planner, const Wanted& wanted);

// The same, and other models: this one in a smaller type where `reference` says what it is called then, and
// smaller ones of the catalogue. At most `most`.
std::vector<Configuration> nearest_configurations(Planner& planner, const Wanted& wanted,
                                                  const std::string& reference, std::size_t most = 3);

}  // namespace medlar::host
