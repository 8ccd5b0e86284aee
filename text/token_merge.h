// Byte-pair merging: of all neighbours that may join, the best pair does, until none may.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/token_spec.h"

namespace medlar::text {

// One piece of the text being merged. It is found by the offset of its first byte; the next one starts where
// it ends.
struct Symbol {
  std::uint32_t length = 0;    // bytes; 0 once it has been joined to the one before
  std::uint32_t previous = 0;  // offset of the symbol before; meaningless for the first
  TokenId id = kNoToken;
};

// The token that two neighbours would become; kNoToken when they may not join.
struct Join {
  std::uint32_t rank = 0;  // lower joins first; of equal ranks the leftmost
  TokenId id = kNoToken;
};

// Sennrich et al. 2016, with a heap of candidates: n log n in the number of symbols, 28 bytes each and no
// recursion. The buffers are kept between calls.
class Merger {
 public:
  void start(std::size_t bytes) {
    symbols_.assign(bytes + 1, {});  // the last stays empty and ends the list
    last_ = 0;
  }

  // Appends the symbol at [at, at + length); calls go from left to right without gaps.
  void add(std::size_t at, std::size_t length, TokenId id) {
    symbols_[at] = {static_cast<std::uint32_t>(length), last_, id};
    last_ = static_cast<std::uint32_t>(at);
  }

  // `join(at, left, right)` returns the Join of two symbols, the left of which starts at byte `at`.
  template <class JoinRule>
  void merge(const JoinRule& join) {
    heap_.clear();
    const std::size_t end = symbols_.size() - 1;
    for (std::size_t at = 0; at < end; at += symbols_[at].length) offer(at, join);
    std::ranges::make_heap(heap_, worse);
    while (!heap_.empty()) {
      const Candidate best = heap_.front();
      std::ranges::pop_heap(heap_, worse);
      heap_.pop_back();
      const std::size_t at = best.order & 0xFFFFFFFFu;
      Symbol& left = symbols_[at];
      Symbol& right = symbols_[at + left.length];
      // Symbols only grow, so a pair that still has its length is the pair that was offered.
      if (right.length == 0 || left.length + right.length != best.length) continue;
      left = {best.length, left.previous, best.id};
      right.length = 0;
      if (at + left.length < end) symbols_[at + left.length].previous = static_cast<std::uint32_t>(at);
      if (at > 0) push(left.previous, join);
      push(at, join);
    }
  }

  // Calls `use(at, symbol)` for what is left, in order.
  template <class Use>
  void for_each(const Use& use) const {
    for (std::size_t at = 0; at + 1 < symbols_.size(); at += symbols_[at].length) use(at, symbols_[at]);
  }

 private:
  struct Candidate {
    std::uint64_t order;  // rank, then offset of the left symbol
    std::uint32_t length;
    TokenId id;
  };
  static bool worse(const Candidate& a, const Candidate& b) { return a.order > b.order; }

  template <class JoinRule>
  bool offer(std::size_t at, const JoinRule& join) {
    const Symbol& left = symbols_[at];
    const Symbol& right = symbols_[at + left.length];
    if (right.length == 0) return false;
    const Join joined = join(at, left, right);
    if (joined.id == kNoToken) return false;
    heap_.push_back({std::uint64_t{joined.rank} << 32 | at, left.length + right.length, joined.id});
    return true;
  }

  template <class JoinRule>
  void push(std::size_t at, const JoinRule& join) {
    if (offer(at, join)) std::ranges::push_heap(heap_, worse);
  }

  std::vector<Symbol> symbols_;  // by byte offset; only those with a length are symbols
  std::vector<Candidate> heap_;
  std::uint32_t last_ = 0;
};

}  // namespace medlar::text
