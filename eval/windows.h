// The windows of a text that a model reads, and which of their tokens are scored, as llama.cpp's
// llama-perplexity cuts them.
#pragma once

#include <cstdint>
#include <vector>

#include "text/tokenizer.h"

namespace medlar::eval {

struct WindowOptions {
  std::int64_t context = 512;  // tokens
  // 0: windows of `context` tokens lie beside each other, and the second half of each is scored.
  // Else they begin `stride` tokens apart, have context + stride / 2, and the last `stride` are scored.
  std::int64_t stride = 0;
  std::int64_t most = 0;  // windows; 0: all
};

inline constexpr std::int64_t kShortestContext = 4;

class Windows {
 public:
  // Each window's first token is read as `bos`; kNoToken: as it is. Throws Error(usage) naming the option
  // that makes no sense, Error(limit) where the text has no whole window.
  Windows(std::vector<text::TokenId> tokens, text::TokenId bos, const WindowOptions& options);

  std::int64_t count() const { return count_; }
  std::int64_t length() const { return length_; }  // tokens of a window
  // Positions first() .. length() - 2 of a window are those whose next token is scored.
  std::int64_t first() const { return first_; }
  std::int64_t scored() const { return length_ - 1 - first_; }
  // What the model reads; a scored position's next token stands behind it.
  std::vector<text::TokenId> window(std::int64_t index) const;
  // The text's own, as far as windows reach.
  std::vector<text::TokenId> tokens() const;

 private:
  std::int64_t start(std::int64_t index) const { return index * step_; }

  std::vector<text::TokenId> tokens_;
  text::TokenId bos_;
  std::int64_t length_, step_, first_, count_;
};

}  // namespace medlar::eval
