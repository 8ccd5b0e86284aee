// Tokens of several sequences put together for one step, and how many tokens of prompts a step may take.
// Internal to engine/.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/page_tree.h"
#include "kernels/step.h"
#include "runtime/backend.h"

namespace medlar {

class StepBatch {
 public:
  explicit StepBatch(std::int64_t room) : room_(room) {}

  enum class Logits : std::uint8_t { none, last, all };
  // Tokens from position `first` on, and of which of them the logits are wanted.
  void add(int sequence, std::int64_t first, std::span<const std::int32_t> tokens, Logits logits);
  std::int64_t room() const { return room_ - std::ssize(tokens_); }
  bool empty() const { return tokens_.empty(); }
  // The program's rows are then the logits that were asked for, in their order.
  void run(runtime::Program& program, const PageTree& tree, int groups) const;

 private:
  std::int64_t room_;
  std::vector<std::int32_t> tokens_, positions_, sequences_, rows_;
};

// Keeps steps short while somebody waits for the next token, by the times that steps have taken. What reading
// prompts adds to a step stays within `slowdown` times a step that only answers. One step in a hundred may be
// longer, where that reads prompts to their end: many that come together begin to answer together, and who
// has asked little does not wait behind who has asked much.
class StepPace {
 public:
  explicit StepPace(double slowdown) : slowdown_(slowdown) {}

  // Tokens of prompts that the next step may read beside `answering` sequences.
  std::int64_t reading(std::int64_t answering, std::int64_t room) const;
  // The same for prompts that are so short that they end in this step; at least reading().
  std::int64_t finishing(std::int64_t answering, std::int64_t room) const;
  void observe(std::int64_t answering, std::int64_t reading, std::chrono::duration<double> time);

 private:
  double slowdown_;
  double answer_seconds_ = 0;    // of a step that only answers; 0: unknown
  double token_seconds_ = 0;     // that a token of a prompt adds
  std::int64_t since_long_ = 0;  // steps since somebody waited for a longer one
};

}  // namespace medlar
