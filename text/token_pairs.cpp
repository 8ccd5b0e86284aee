// Merges are written as text; the table holds them as pairs of ids.
#include "text/token_pairs.h"

#include <bit>

#include "base/error.h"
#include "text/token_index.h"

namespace medlar::text {

MergeTable::MergeTable(const TokenizerSpec& spec) {
  if (spec.merges.empty())
    fail(ErrorKind::bad_file, "tokenizer.ggml.merges: a BPE vocabulary needs its merges");
  TokenIndex by_text(spec.tokens.size());
  for (std::size_t i = 0; i < spec.tokens.size(); ++i) {
    if (!spec.tokens[i].empty()) by_text.insert(spec.tokens[i], static_cast<TokenId>(i));
  }
  slots_.resize(std::bit_ceil(spec.merges.size() + spec.merges.size() / 2 + 2));
  shift_ = 64u - static_cast<unsigned>(std::countr_zero(slots_.size()));
  std::string product;
  for (std::size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const std::string_view merge = spec.merges[rank];
    // A piece may be a space itself, so the separator is the first space after the first byte.
    const std::size_t space = merge.find(' ', 1);
    if (space == merge.npos || space + 1 == merge.size()) {
      fail(ErrorKind::bad_file, "tokenizer.ggml.merges[{}]: not two pieces with a space between", rank);
    }
    product.assign(merge.substr(0, space)).append(merge.substr(space + 1));
    const TokenId left = by_text.find(merge.substr(0, space));
    const TokenId right = by_text.find(merge.substr(space + 1));
    const TokenId joined = by_text.find(product);
    if (left == kNoToken || right == kNoToken || joined == kNoToken) {
      fail(ErrorKind::bad_file, "tokenizer.ggml.merges[{}]: its {} is not in tokenizer.ggml.tokens", rank,
           left == kNoToken    ? "left piece"
           : right == kNoToken ? "right piece"
                               : "product");
    }
    Slot& slot = slots_[slot_of(key(left, right))];
    if (slot.pair == kEmpty) slot = {key(left, right), {static_cast<std::uint32_t>(rank), joined}};
  }
}

std::size_t MergeTable::slot_of(std::uint64_t pair) const {
  std::size_t i = static_cast<std::size_t>(pair * 0x9E3779B97F4A7C15u >> shift_);
  while (slots_[i].pair != pair && slots_[i].pair != kEmpty) i = (i + 1) & (slots_.size() - 1);
  return i;
}

Join MergeTable::find(TokenId left, TokenId right) const {
  if (left == kNoToken || right == kNoToken) return {};
  return slots_[slot_of(key(left, right))].join;
}

}  // namespace medlar::text
