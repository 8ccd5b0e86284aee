// Holding back and repairing characters.
#include "text/token_stream.h"

#include "text/unicode.h"

namespace medlar::text {

std::string Utf8Stream::push(std::string_view bytes) {
  pending_ += bytes;
  std::string out;
  std::size_t at = 0;
  while (at < pending_.size()) {
    const std::string_view rest = std::string_view(pending_).substr(at);
    const std::size_t valid = valid_utf8_prefix(rest);
    out += rest.substr(0, valid);
    at += valid;
    if (at == pending_.size() || utf8_cut_short(pending_, at)) break;
    out += kReplacementUtf8;
    at += utf8_subpart(pending_, at);
  }
  pending_.erase(0, at);
  return out;
}

std::string Utf8Stream::finish() {
  std::string out(pending_.empty() ? std::string_view() : kReplacementUtf8);
  pending_.clear();
  return out;
}

std::string TextStream::push(TokenId token) {
  std::string_view bytes = tokenizer_->piece(token, options_);
  if (tokenizer_->drops_space(previous_, token)) bytes.remove_prefix(1);
  previous_ = token;
  return utf8_.push(bytes);
}

}  // namespace medlar::text
