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
  missed_ = nullptr;
  if (slots_.empty() || word.size() > kMaxWord) return false;
  const std::uint64_t hash = hash_bytes(word);
  Slot& slot = slots_[hash & (slots_.size() - 1)];
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  if (slot.hash != tag || std::string_view(text_ + slot.text, slot.length) != word) {
    slot.hash = tag;
    slot.length = 0;  // empty until remember() fills it; no word is empty
    missed_ = &slot;
    return false;
  }
  for (std::size_t i = 0; i < slot.count; ++i) out.push_back(out[slot.first + i]);
  return true;
}

void WordCache::remember(std::string_view word, std::size_t first, const std::vector<TokenId>& out) {
  if (!missed_) return;
  missed_->text = static_cast<std::uint32_t>(word.data() - text_);
  missed_->first = static_cast<std::uint32_t>(first);
  missed_->length = static_cast<std::uint16_t>(word.size());
  missed_->count = static_cast<std::uint16_t>(out.size() - first);
}

}  // namespace medlar::text
