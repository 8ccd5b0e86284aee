#include "eval/frontier.h"

#include <algorithm>

namespace medlar::eval {

std::vector<bool> frontier(std::span<const SizedLoss> files) {
  std::vector<bool> on;
  for (const SizedLoss& f : files) {
    const auto beats = [&](const SizedLoss& other) {
      return other.bytes <= f.bytes && other.loss <= f.loss && (other.bytes < f.bytes || other.loss < f.loss);
    };
    on.push_back(std::ranges::none_of(files, beats));
  }
  return on;
}

}  // namespace medlar::eval
