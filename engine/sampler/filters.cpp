#include "engine/sampler/filters.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace medlar::filters {
namespace {

// The smallest prefix of the current order whose probabilities reach p.
std::size_t nucleus(std::span<const Candidate> candidates, float p, std::size_t min_keep) {
  double sum = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    sum += candidates[i].probability;
    if (sum >= p && i + 1 >= min_keep) return i + 1;
  }
  return candidates.size();
}

}  // namespace

double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

void top_n_sigma(Candidates& candidates, float n) {
  if (n <= 0) return;
  double sum = 0, squares = 0, count = 0;
  float best = -std::numeric_limits<float>::infinity();
  for (const Candidate& c : candidates.view()) {
    if (std::isinf(c.logit)) continue;  // banned tokens say nothing about the spread
    best = std::max(best, c.logit);
    sum += c.logit, squares += static_cast<double>(c.logit) * c.logit, ++count;
  }
  if (count == 0) return;
  const double mean = sum / count, deviation = std::sqrt(std::max(0.0, squares / count - mean * mean));
  candidates.filter([&](const Candidate& c) { return c.logit >= best - n * deviation; });
}

void top_k(Candidates& candidates, int k, std::size_t min_keep) {
  if (k > 0) candidates.keep_best(std::max(static_cast<std::size_t>(k), min_keep));
}

void typical(Candidates& candidates, float p, std::size_t min_keep) {
  if (p >= 1) return;
  candidates.softmax();
  double entropy = 0;
  for (const Candidate& c : candidates.view())
    if (c.probability > 0) entropy -= c.probability * std::log(c.probability);
  const auto surprise = [&](const Candidate& c) { return std::abs(-std::log(c.probability) - entropy); };
  std::vector<Candidate> order(candidates.view().begin(), candidates.view().end());
  std::stable_sort(order.begin(), order.end(),
                   [&](const auto& a, const auto& b) { return surprise(a) < surprise(b); });
  order.resize(nucleus(order, p, min_keep));
  const double limit = surprise(order.back());
  candidates.filter([&](const Candidate& c) { return surprise(c) <= limit; });
}

void top_p(Candidates& candidates, float p, std::size_t min_keep) {
  if (p >= 1) return;
  candidates.sort();
  candidates.softmax();
  candidates.truncate(nucleus(candidates.view(), p, min_keep));
}

void min_p(Candidates& candidates, float p, std::size_t min_keep) {
  if (p <= 0) return;
  candidates.sort();
  const auto view = candidates.view();
  const float limit = view[0].logit + std::log(p);
  std::size_t n = 0;
  while (n < view.size() && (view[n].logit >= limit || n < min_keep)) ++n;
  candidates.truncate(n);
}

void xtc(Candidates& candidates, const SamplerOptions& options, std::mt19937_64& random) {
  if (options.xtc_probability <= 0 || options.xtc_threshold > 0.5F) return;
  if (uniform(random) >= options.xtc_probability) return;
  candidates.sort();
  candidates.softmax();
  std::size_t above = 0;
  for (const Candidate& c : candidates.view()) above += c.probability >= options.xtc_threshold;
  // All but the least likely of the top choices go.
  if (above < 2 || candidates.size() - (above - 1) < static_cast<std::size_t>(options.min_keep)) return;
  std::size_t i = 0;
  candidates.filter([&](const Candidate&) { return ++i >= above; });
}

void temperature(Candidates& candidates, float temperature) {
  if (temperature == 1) return;
  const auto view = candidates.view();
  const float best =
      std::max_element(view.begin(), view.end(), [](auto& a, auto& b) { return a.logit < b.logit; })->logit;
  // Relative to the best, so that a tiny temperature cannot overflow.
  for (Candidate& c : view) c.logit = c.logit == best ? 0 : (c.logit - best) / temperature;
}

std::size_t draw(Candidates& candidates, std::mt19937_64& random) {
  candidates.softmax();
  const auto view = candidates.view();
  double at = uniform(random);
  for (std::size_t i = 0; i < view.size(); ++i)
    if ((at -= view[i].probability) < 0) return i;
  // Rounding left a sliver behind the last one: give it to the last that can be drawn at all.
  std::size_t last = view.size() - 1;
  while (last > 0 && view[last].probability <= 0) --last;
  return last;
}

}  // namespace medlar::filters
