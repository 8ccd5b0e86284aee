// Text out of a running generation: whole characters only, and valid UTF-8 whatever the tokens are.
#pragma once

#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace medlar::text {

// Bytes in, well-formed UTF-8 out. A character that has only begun is held back; what can never become one
// turns into U+FFFD, one for each maximal beginning of a character (Unicode 15, section 3.9).
class Utf8Stream {
 public:
  std::string push(std::string_view bytes);

  // The end: a character that was never finished becomes U+FFFD. Ready for another text afterwards.
  std::string finish();

  // Bytes held back, 0 to 3.
  std::size_t pending() const { return pending_.size(); }

 private:
  std::string pending_;
};

// Tokens in, text out: the concatenation of all that is returned is decode() of the tokens, repaired to be
// UTF-8.
class TextStream {
 public:
  // `tokenizer` must outlive the stream. `previous` is the token that the first one follows; kNoToken at the
  // start of a text.
  explicit TextStream(const Tokenizer& tokenizer, TokenId previous = kNoToken, DecodeOptions options = {})
      : tokenizer_(&tokenizer), previous_(previous), options_(options) {}

  // May be empty: special tokens that are not shown, and parts of a character. Throws as Tokenizer::decode().
  std::string push(TokenId token);
  std::string finish() { return utf8_.finish(); }

 private:
  const Tokenizer* tokenizer_;
  TokenId previous_;
  DecodeOptions options_;
  Utf8Stream utf8_;
};

}  // namespace medlar::text
