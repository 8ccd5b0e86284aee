// The tokens still in the running for the next position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/backend.h"

namespace medlar {

struct Candidate {
  std::int32_t token = 0;
  float logit = 0;
  float probability = 0;
};

// The order of candidates: by logit, and of equal ones the lower tokens first.
bool better(const Candidate& a, const Candidate& b);

// A shrinking set of candidates. Filters work on the front of `all`; order is by logit once sort() ran.
class Candidates {
 public:
  // Every token that can be chosen at all: those whose logit is -infinity or not a number are left out.
  void assign(std::span<const float> logits);
  // Of these tokens only.
  void assign(std::span<const float> logits, std::span<const runtime::TokenLogit> tokens);
  // The best k of them, in order. Costs one pass over the logits for small k.
  void assign_best(std::span<const float> logits, std::size_t k);

  std::span<Candidate> view() { return {all_.data(), size_}; }
  std::span<const Candidate> view() const { return {all_.data(), size_}; }
  std::size_t size() const { return size_; }

  // The best k to the front, in order; drops the rest.
  void keep_best(std::size_t k);
  void sort();
  // Drops everything after the first n of the current order.
  void truncate(std::size_t n) { size_ = n < size_ ? n : size_; }
  // Keeps those for which `keep` holds, in order.
  template <class Keep>
  void filter(Keep&& keep) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < size_; ++i)
      if (keep(all_[i])) all_[n++] = all_[i];
    size_ = n;
  }
  // Fills in probabilities of the current set; returns the largest logit.
  float softmax();

 private:
  std::vector<Candidate> all_;
  std::size_t size_ = 0;
  bool sorted_ = false;
};

}  // namespace medlar
