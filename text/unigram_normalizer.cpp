// The trie is a Darts-clone double array: a child's index is its parent's, xor the parent's offset, xor the
// byte.
#include "text/unigram_normalizer.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"

namespace medlar::text {
namespace {

// The bytes of the longest rule that is looked for. Unicode's normalization forms need fewer than 20; a
// hostile map could lead in circles.
constexpr std::size_t kMaxRule = 64;

// The bytes of the longest replacement. Unicode's has 33: one Arabic ligature stands for a sentence.
constexpr std::size_t kMaxReplacement = 256;

std::uint32_t read_u32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// One unit of the array.
bool has_leaf(std::uint32_t unit) { return unit >> 8 & 1; }
std::uint32_t label(std::uint32_t unit) { return unit & 0x800000FFu; }
std::uint32_t offset(std::uint32_t unit) { return (unit >> 10) << ((unit & 1u << 9) >> 6); }
std::uint32_t leaf_value(std::uint32_t unit) { return unit & 0x7FFFFFFFu; }

}  // namespace

Charsmap::Charsmap(std::string_view blob) {
  if (blob.empty()) return;
  const std::size_t trie_bytes = blob.size() < 4 ? 0 : read_u32(blob, 0);
  if (blob.size() < 4 || trie_bytes > blob.size() - 4 || trie_bytes % 4 != 0) {
    fail(ErrorKind::bad_file, "tokenizer.ggml.precompiled_charsmap: {} bytes do not hold a trie of {} bytes",
         blob.size(), trie_bytes);
  }
  units_.resize(trie_bytes / 4);
  for (std::size_t i = 0; i < units_.size(); ++i) units_[i] = read_u32(blob, 4 + 4 * i);
  replacements_ = blob.substr(4 + trie_bytes);
  if (!replacements_.empty() && replacements_.back() != '\0') {
    fail(ErrorKind::bad_file, "tokenizer.ggml.precompiled_charsmap: its last text has no end");
  }
  for (std::size_t at = 0; at < replacements_.size();) {
    const std::size_t length = replacements_.find('\0', at) - at;
    if (length > kMaxReplacement) {
      fail(ErrorKind::bad_file,
           "tokenizer.ggml.precompiled_charsmap: a text of {} bytes, at most {} are read", length,
           kMaxReplacement);
    }
    at += length + 1;
  }
}

Charsmap::Rewrite Charsmap::rewrite(std::string_view text, std::size_t at) const {
  std::size_t matched = 0;
  std::size_t replacement = 0;
  std::uint32_t node = units_.empty() ? 0 : offset(units_[0]);
  const std::size_t longest = std::min(text.size() - at, kMaxRule);
  for (std::size_t i = 0; i < longest; ++i) {
    const auto byte = static_cast<unsigned char>(text[at + i]);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || label(units_[node]) != byte) break;
    const std::uint32_t unit = units_[node];
    node ^= offset(unit);
    if (!has_leaf(unit) || node >= units_.size()) continue;
    if (leaf_value(units_[node]) >= replacements_.size()) continue;
    matched = i + 1;
    replacement = leaf_value(units_[node]);
  }
  if (matched > 0) {
    const std::size_t end = replacements_.find('\0', replacement);
    return {std::string_view(replacements_).substr(replacement, end - replacement), matched};
  }
  const CodePoint c = decode_utf8(text, at);
  if (!c.valid) return {kReplacementUtf8, 1};
  return {text.substr(at, c.length), c.length};
}

}  // namespace medlar::text
