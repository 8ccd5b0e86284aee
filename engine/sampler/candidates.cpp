#include "engine/sampler/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace medlar {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

}  // namespace

bool better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

void Candidates::assign(std::span<const float> logits) {
  all_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > kNever) all_.push_back({static_cast<std::int32_t>(i), logits[i], 0});
  size_ = all_.size();
  sorted_ = false;
}

void Candidates::assign(std::span<const float> logits, std::span<const runtime::TokenLogit> tokens) {
  all_.clear();
  for (const runtime::TokenLogit& t : tokens)
    if (const float logit = logits[static_cast<std::size_t>(t.token)]; logit > kNever)
      all_.push_back({t.token, logit, 0});
  size_ = all_.size();
  sorted_ = false;
}

void Candidates::assign_best(std::span<const float> logits, std::size_t k) {
  all_.clear();
  float worst = kNever;  // of the k held; a heap with the worst on top
  for (std::size_t i = 0; k > 0 && i < logits.size(); ++i) {
    if (!(logits[i] > worst)) continue;  // also what is not a number
    if (all_.size() == k) {
      std::pop_heap(all_.begin(), all_.end(), better);
      all_.pop_back();
    }
    all_.push_back({static_cast<std::int32_t>(i), logits[i], 0});
    std::push_heap(all_.begin(), all_.end(), better);
    if (all_.size() == k) worst = all_.front().logit;
  }
  size_ = all_.size();
  sorted_ = false;
  sort();
}

void Candidates::keep_best(std::size_t k) {
  if (k < size_ && !sorted_) {
    std::nth_element(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(k),
                     all_.begin() + static_cast<std::ptrdiff_t>(size_), better);
  }
  truncate(k);
  sort();
}

void Candidates::sort() {
  if (!sorted_) std::sort(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(size_), better);
  sorted_ = true;
}

float Candidates::softmax() {
  float best = kNever;
  for (const Candidate& c : view()) best = std::max(best, c.logit);
  double sum = 0;
  for (Candidate& c : view()) {
    c.probability = c.logit == best ? 1 : std::exp(c.logit - best);
    sum += c.probability;
  }
  for (Candidate& c : view()) c.probability = static_cast<float>(c.probability / sum);
  return best;
}

}  // namespace medlar
