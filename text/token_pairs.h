// The merge list of a BPE vocabulary: which two tokens join, into which, and how early.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/token_merge.h"
#include "text/token_spec.h"

namespace medlar::text {

class MergeTable {
 public:
  // Throws Error(bad_file) naming tokenizer.ggml.merges: no list, an entry that is not two pieces, a piece or
  // a product that is no token. The first of equal entries counts.
  explicit MergeTable(const TokenizerSpec& spec);

  // id kNoToken when the pair is not in the list.
  Join find(TokenId left, TokenId right) const;

 private:
  struct Slot {
    std::uint64_t pair = kEmpty;
    Join join;
  };
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  static std::uint64_t key(TokenId left, TokenId right) {
    return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
  }
  std::size_t slot_of(std::uint64_t pair) const;

  std::vector<Slot> slots_;  // a power of two, at most two thirds full; linear probing
  unsigned shift_ = 0;       // 64 - log2(slots)
};

}  // namespace medlar::text
