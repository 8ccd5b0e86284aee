// Steps on convex hulls, steepest first.
#include "quant/allocate.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"

namespace medlar::quant {
namespace {

struct Step {
  std::size_t tensor = 0, from = 0, to = 0;  // options
  std::uint64_t bytes = 0;
  double saved = 0;  // loss

  double slope() const { return saved / static_cast<double>(bytes); }
};

// The options on the lower convex hull of losses over bytes, by bytes.
std::vector<std::size_t> hull(const std::vector<TypeOption>& options) {
  std::vector<std::size_t> order(options.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(options[i].bytes, options[i].loss); });
  const auto slope = [&](std::size_t from, std::size_t to) {
    return (options[from].loss - options[to].loss) /
           static_cast<double>(options[to].bytes - options[from].bytes);
  };
  std::vector<std::size_t> on;
  for (const std::size_t i : order) {
    if (!on.empty() &&
        (options[i].bytes == options[on.back()].bytes || options[i].loss >= options[on.back()].loss))
      continue;
    while (on.size() > 1 && slope(on[on.size() - 2], on.back()) <= slope(on.back(), i)) on.pop_back();
    on.push_back(i);
  }
  return on;
}

struct Plan {
  std::vector<std::size_t> chosen;
  std::vector<Step> steps;  // steepest first; of one tensor in their order
};

Plan plan(std::span<const std::vector<TypeOption>> tensors) {
  Plan p;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const std::vector<std::size_t> on = hull(tensors[t]);
    p.chosen.push_back(on.front());
    for (std::size_t i = 1; i < on.size(); ++i) {
      const TypeOption& a = tensors[t][on[i - 1]];
      const TypeOption& b = tensors[t][on[i]];
      p.steps.push_back({t, on[i - 1], on[i], b.bytes - a.bytes, a.loss - b.loss});
    }
  }
  std::ranges::sort(p.steps, {}, [](const Step& s) { return std::pair(-s.slope(), s.tensor); });
  return p;
}

}  // namespace

std::uint64_t bytes_of(std::span<const std::vector<TypeOption>> tensors,
                       std::span<const std::size_t> chosen) {
  std::uint64_t bytes = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) bytes += tensors[t][chosen[t]].bytes;
  return bytes;
}

double loss_of(std::span<const std::vector<TypeOption>> tensors, std::span<const std::size_t> chosen) {
  double loss = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) loss += tensors[t][chosen[t]].loss;
  return loss;
}

std::vector<std::size_t> allocate_bytes(std::span<const std::vector<TypeOption>> tensors,
                                        std::uint64_t bytes) {
  Plan p = plan(tensors);
  const std::uint64_t least = bytes_of(tensors, p.chosen);
  if (least > bytes)
    throw Error(ErrorKind::limit,
                fmt::format("the coarsest types take {} MB, and the target leaves {} MB", least / 1'000'000,
                            bytes / 1'000'000),
                "give a larger target");
  std::uint64_t left = bytes - least;
  for (const Step& step : p.steps) {
    if (step.bytes > left || p.chosen[step.tensor] != step.from) continue;
    p.chosen[step.tensor] = step.to;
    left -= step.bytes;
  }
  return std::move(p.chosen);
}

std::vector<std::size_t> allocate_loss(std::span<const std::vector<TypeOption>> tensors, double loss) {
  Plan p = plan(tensors);
  double now = loss_of(tensors, p.chosen);
  for (const Step& step : p.steps) {
    if (now <= loss) break;
    p.chosen[step.tensor] = step.to;
    now -= step.saved;
  }
  return std::move(p.chosen);
}

}  // namespace medlar::quant
