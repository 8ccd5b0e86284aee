// Linear probing; a slot is empty while its id is kNoToken.
#include "text/token_index.h"

#include <bit>
#include <cstring>

namespace medlar::text {

std::uint64_t hash_bytes(std::string_view bytes) {
  constexpr std::uint64_t kOdd =
      0x9E3779B97F4A7C15u;  // 2^64 / golden ratio: multiplying spreads the bits upward
  std::uint64_t hash = bytes.size() * kOdd;
  const auto mix = [&hash](std::uint64_t word) {
    hash = (hash ^ word) * kOdd;
    hash ^= hash >> 32;
  };
  std::uint64_t word = 0;
  while (bytes.size() >= sizeof word) {
    std::memcpy(&word, bytes.data(), sizeof word);
    mix(word);
    bytes.remove_prefix(sizeof word);
  }
  word = 0;
  std::memcpy(&word, bytes.data(), bytes.size());
  mix(word);
  return hash;
}

TokenIndex::TokenIndex(std::size_t tokens) : slots_(std::bit_ceil(tokens + tokens / 2 + 2)) {}

std::size_t TokenIndex::slot_of(std::string_view text) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash_bytes(text) & mask;
  while (slots_[i].id != kNoToken && std::string_view(slots_[i].text, slots_[i].length) != text) {
    i = (i + 1) & mask;
  }
  return i;
}

TokenId TokenIndex::insert(std::string_view text, TokenId id) {
  Slot& slot = slots_[slot_of(text)];
  if (slot.id == kNoToken) slot = {text.data(), static_cast<std::uint32_t>(text.size()), id};
  return slot.id;
}

TokenId TokenIndex::find(std::string_view text) const { return slots_[slot_of(text)].id; }

}  // namespace medlar::text
