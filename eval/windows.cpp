#include "eval/windows.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"

namespace medlar::eval {
namespace {

constexpr std::int64_t kLongestContext = std::int64_t{1} << 30;

void check(const WindowOptions& o) {
  if (o.context < kShortestContext || o.context > kLongestContext)
    throw Error(ErrorKind::usage, fmt::format("--ctx {}: no length of a window", o.context),
                fmt::format("give at least {}", kShortestContext));
  if (o.stride < 0 || o.stride > o.context)
    throw Error(ErrorKind::usage, fmt::format("--stride {}: windows would leave tokens out", o.stride),
                fmt::format("give 1 to {}, the window's length", o.context));
}

}  // namespace

Windows::Windows(std::vector<text::TokenId> tokens, text::TokenId bos, const WindowOptions& o)
    : tokens_(std::move(tokens)), bos_(bos) {
  check(o);
  const bool strided = o.stride > 0;
  const std::int64_t size = std::ssize(tokens_);
  length_ = strided ? o.context + o.stride / 2 : o.context;
  step_ = strided ? o.stride : o.context;
  first_ = strided ? length_ - o.stride - 1 : o.context / 2;
  // With a stride, the last token of the text is never the last of a window.
  count_ = strided ? (size - length_ + step_ - 1) / step_ : size / step_;
  if (size < length_ || count_ < 1)
    throw Error(ErrorKind::limit,
                fmt::format("the text has {} tokens; a window takes {}", size, length_ + (strided ? 1 : 0)),
                "give a longer text, or a smaller --ctx");
  if (o.most > 0) count_ = std::min(count_, o.most);
}

std::vector<text::TokenId> Windows::window(std::int64_t index) const {
  const auto begin = tokens_.begin() + start(index);
  std::vector<text::TokenId> result(begin, begin + length_);
  if (bos_ != text::kNoToken) result.front() = bos_;
  return result;
}

std::vector<text::TokenId> Windows::tokens() const {
  return {tokens_.begin(), tokens_.begin() + start(count_ - 1) + length_};
}

}  // namespace medlar::eval
