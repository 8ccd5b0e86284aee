// SentencePiece's compiled normalizer: the longest known prefix of the text is replaced by another text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::text {

class Charsmap {
 public:
  // `blob` is tokenizer.ggml.precompiled_charsmap, or empty for no rules: a little-endian u32 with the length
  // of the trie in bytes, the trie (a double array of u32, docs/tokenizers.md), then texts that each end in a
  // NUL. Throws Error(bad_file) when the parts do not fit into the blob.
  explicit Charsmap(std::string_view blob = {});

  struct Rewrite {
    std::string_view text;     // of the map or of the input
    std::size_t consumed = 0;  // bytes of the input, at least 1
  };
  // What text[at..] begins with, normalized: one rule's replacement, or one character as it is, or U+FFFD for
  // a byte that belongs to no character. at < text.size().
  Rewrite rewrite(std::string_view text, std::size_t at) const;

 private:
  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace medlar::text
