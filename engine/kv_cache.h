// The KV cache's bookkeeping: which pages hold which positions of which sequence. The bytes are the
// Program's.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/step.h"

namespace medlar {

using kernels::kMaxKvGroups;
using kernels::kPageTokens;

// Pages a sequence of `tokens` positions needs in a group with this window (0: all positions are kept), when
// at most `batch` tokens are written at once.
std::int32_t kv_pages_needed(std::int64_t tokens, std::int64_t window, std::int64_t batch);

struct KvCacheOptions {
  std::vector<std::int64_t> windows;  // of each group; 0: keeps everything
  std::vector<std::int32_t> pages;    // of each group
  std::int32_t max_sequences = 1;
  std::int64_t max_positions = 0;  // of one sequence
};

// Positions of a group's sliding window that can be rewound without reading the text again, beyond the
// window.
inline constexpr std::int64_t kRewindSlack = 4 * kPageTokens;

class KvCache {
 public:
  explicit KvCache(const KvCacheOptions& options);

  // The page tables to hand to a step; row s is sequence s.
  kernels::PageTable table(int group) const;
  std::int64_t length(int sequence) const { return sequences_[at(sequence)].length; }

  // Makes room for positions up to length + count and drops pages that have slid out of every window.
  // False when there are not enough free pages; then nothing changed.
  bool extend(int sequence, std::int64_t count);
  // Forgets positions from `length` on. False when the pages that would be needed have already slid away:
  // then only truncating to 0 is possible.
  bool truncate(int sequence, std::int64_t length);
  void clear(int sequence);

  // Pages that became free since the last call and whose memory nobody needs, by group.
  std::vector<std::int32_t> take_released(int group);

 private:
  struct Group {
    std::int64_t window;
    std::vector<std::int32_t> table;  // (max_sequences, stride), -1: no page
    std::vector<std::int32_t> free;
    std::vector<std::int32_t> released;
  };
  struct Sequence {
    std::int64_t length = 0;
    std::array<std::int64_t, kMaxKvGroups> first_page{};  // pages before it have slid away
  };

  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  std::int32_t& page(Group& group, int sequence, std::int64_t index) {
    return group.table[at(sequence * stride_ + index)];
  }
  void drop(Group& group, int sequence, std::int64_t begin, std::int64_t end);

  std::int64_t stride_;
  std::vector<Group> groups_;
  std::vector<Sequence> sequences_;
};

}  // namespace medlar
