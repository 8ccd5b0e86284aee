// Exact look-up of a token by its bytes: open addressing over texts that live elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/token_spec.h"

namespace medlar::text {

// A hash of short byte strings; not for anything that an attacker may gain from colliding.
std::uint64_t hash_bytes(std::string_view bytes);

class TokenIndex {
 public:
  // Room for `tokens` entries; the index does not grow.
  explicit TokenIndex(std::size_t tokens = 0);

  // Inserts unless the text is there already; returns the id that the text has now. `text` must stay in
  // place.
  TokenId insert(std::string_view text, TokenId id);

  // kNoToken when no token has this text.
  TokenId find(std::string_view text) const;

 private:
  struct Slot {
    const char* text = nullptr;
    std::uint32_t length = 0;
    TokenId id = kNoToken;
  };
  std::size_t slot_of(std::string_view text) const;  // where it is, or where it would go

  std::vector<Slot> slots_;  // a power of two, at most two thirds full
};

}  // namespace medlar::text
