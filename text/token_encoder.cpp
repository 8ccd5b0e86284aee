// The cache of words that one encode() call keeps.
#include "text/token_encoder.h"

#include <algorithm>
#include <bit>

#include "text/token_index.h"

namespace medlar::text {
namespace {

constexpr std::size_t kShortText = 512;     // bytes
constexpr std::size_t kMaxSlots = 1 << 14;  // 256 KiB

}  // namespace

WordCache::WordCache(std::string_view text) : text_(text.data()) {
  if (text.size() >= kShortText) slots_.resize(std::bit_ceil(std::min(text.size() / 8, kMaxSlots)));
}

bool WordCache::replay(std::string_view word, std::vector<TokenId>& out) {
  if (slots_.empty() || word.size() > kMaxWord) return false;
  const std::uint64_t hash = hash_bytes(word);
  hash_ = static_cast<std::uint32_t>(hash >> 32);
  const Slot& slot = slots_[hash & (slots_.size() - 1)];
  if (slot.hash != hash_ || std::string_view(text_ + slot.text, slot.length) != word) return false;
  for (std::size_t i = 0; i < slot.count; ++i) out.push_back(out[slot.first + i]);
  return true;
}

void WordCache::remember(std::string_view word, std::size_t first, const std::vector<TokenId>& out) {
  if (slots_.empty() || word.size() > kMaxWord) return;
  slots_[hash_bytes(word) & (slots_.size() - 1)] = {
      static_cast<std::uint32_t>(word.data() - text_), static_cast<std::uint32_t>(first),
      static_cast<std::uint16_t>(word.size()), static_cast<std::uint16_t>(out.size() - first), hash_};
}

}  // namespace medlar::text
