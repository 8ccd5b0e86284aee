// Which of several files nobody beats in both size and loss: the size-quality frontier.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace medlar::eval {

struct SizedLoss {
  std::int64_t bytes = 0;
  double loss = 0;  // less is better
};

// One for each file: whether no other is smaller without a higher loss, or better without more bytes.
std::vector<bool> frontier(std::span<const SizedLoss> files);

}  // namespace medlar::eval
