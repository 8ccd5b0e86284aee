// What the kinds of vocabulary have in common: plain text in, tokens out, with buffers that one call shares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/token_merge.h"
#include "text/token_spec.h"

namespace medlar::text {

// Remembers the words of one encode() call: direct-mapped, and the tokens of a word are found in the output
// where they were first written, so that an entry is 16 bytes and nothing is copied but tokens.
class WordCache {
 public:
  static constexpr std::size_t kMaxWord = 32;  // bytes; longer words rarely come twice

  explicit WordCache(std::string_view text);

  // Appends the tokens of `word`, a view into the text, when it was encoded before.
  bool replay(std::string_view word, std::vector<TokenId>& out);

  // After replay() did not find `word`: its tokens are those from out[first] on.
  void remember(std::string_view word, std::size_t first, const std::vector<TokenId>& out);

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t text = 0;    // offset of the word
    std::uint32_t first = 0;   // index of its first token
    std::uint16_t length = 0;  // bytes
    std::uint16_t count = 0;   // tokens
  };

  const char* text_;
  std::vector<Slot> slots_;  // a power of two, or none for a text too short to repeat itself
  Slot* missed_ = nullptr;   // where replay() looked in vain; null for words that are not kept
};

// Everything that one encode() call writes to.
struct EncodeState {
  explicit EncodeState(std::string_view text) : words(text) {}

  std::vector<TokenId> out;
  std::size_t first = 0;  // in `out`, of the tokens of the current stretch
  WordCache words;
  Merger merger;
  std::string buffer;               // a word or text rewritten before it is looked up
  std::vector<std::uint32_t> ends;  // where the words of a stretch end
};

// A stretch of text between special tokens, a view into the text that the EncodeState was made for.
struct Stretch {
  std::string_view text;
  bool after_special = false;  // at the start of the text, or after a special token
};

class TokenEncoder {
 public:
  virtual ~TokenEncoder() = default;

  // Appends the tokens of the stretch to state.out. Time grows linearly with the text, stack use not at all.
  virtual void encode(Stretch stretch, EncodeState& state) const = 0;
};

}  // namespace medlar::text
