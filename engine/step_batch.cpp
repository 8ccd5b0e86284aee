#include "engine/step_batch.h"

#include <algorithm>

namespace medlar {
namespace {

constexpr std::int64_t kLeastReading = 8;  // tokens: a prompt always gets on
constexpr double kNewShare = 0.25;         // of the last step in the averages
constexpr double kMostGrowth = 1.5;        // of a step over the average: longer, it was interrupted
constexpr double kLongSeconds = 2;         // that a step may last longer now and then
constexpr std::int64_t kLongEvery = 128;   // steps: seldom enough not to show in the 99th percentile

void average(double& mean, double value) {
  mean = mean == 0 ? value : (1 - kNewShare) * mean + kNewShare * value;
}

}  // namespace

void StepBatch::add(int sequence, std::int64_t first, std::span<const std::int32_t> tokens, Logits logits) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (logits == Logits::all || (logits == Logits::last && i + 1 == tokens.size()))
      rows_.push_back(static_cast<std::int32_t>(tokens_.size()));
    tokens_.push_back(tokens[i]);
    positions_.push_back(static_cast<std::int32_t>(first + static_cast<std::int64_t>(i)));
    sequences_.push_back(sequence);
  }
}

void StepBatch::run(runtime::Program& program, const PageTree& tree, int groups) const {
  kernels::Step step{.tokens = static_cast<std::int32_t>(tokens_.size()),
                     .logit_rows = static_cast<std::int32_t>(rows_.size()),
                     .token_ids = tokens_.data(),
                     .positions = positions_.data(),
                     .sequences = sequences_.data(),
                     .rows = rows_.data(),
                     .pages = {}};
  for (int group = 0; group < groups; ++group) step.pages[group] = tree.table(group);
  program.run(step);
}

std::int64_t StepPace::reading(std::int64_t answering, std::int64_t room) const {
  if (answering == 0 || room <= kLeastReading) return room;
  if (answer_seconds_ == 0 || token_seconds_ == 0) return kLeastReading;
  const double tokens =
      std::min((slowdown_ - 1) * answer_seconds_ / token_seconds_, static_cast<double>(room));
  return std::max(kLeastReading, static_cast<std::int64_t>(tokens));
}

std::int64_t StepPace::finishing(std::int64_t answering, std::int64_t room) const {
  const std::int64_t paced = reading(answering, room);
  if (since_long_ < kLongEvery || token_seconds_ == 0) return paced;
  const double tokens = std::min(kLongSeconds / token_seconds_, static_cast<double>(room));
  return std::max(paced, static_cast<std::int64_t>(tokens));
}

void StepPace::observe(std::int64_t answering, std::int64_t reading, std::chrono::duration<double> time) {
  const double seconds = time.count();
  if (answering == 0) {
    since_long_ = kLongEvery;  // nobody waited
  } else {
    since_long_ = reading > this->reading(answering, reading) ? 0 : since_long_ + 1;
  }
  if (reading == 0) {
    const double most = answer_seconds_ == 0 ? seconds : kMostGrowth * answer_seconds_;
    return average(answer_seconds_, std::min(seconds, most));
  }
  const double rest = answering > 0 ? std::max(seconds - answer_seconds_, 0.1 * seconds) : seconds;
  average(token_seconds_, rest / static_cast<double>(reading));
}

}  // namespace medlar
