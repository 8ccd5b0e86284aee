#include "engine/reply_stream.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace medlar {
namespace {

void append(std::vector<reply::Delta>& all, std::vector<reply::Delta>&& more) {
  std::ranges::move(more, std::back_inserter(all));
}

}  // namespace

std::vector<reply::Delta> ReplyStream::push(std::string_view text) {
  std::vector<reply::Delta> deltas;
  waiting_ += text;
  std::size_t at = 0;
  while (at < waiting_.size()) {
    std::size_t size = waiting_.size() - at;
    const bool special = !specials_.empty() && specials_.front().begin == passed_;
    if (special && specials_.front().size > size) break;
    if (special) {
      size = specials_.front().size;
      specials_.pop_front();
    } else if (!specials_.empty()) {
      size = std::min(size, specials_.front().begin - passed_);
    }
    append(deltas, parser_.push(std::string_view(waiting_).substr(at, size), special));
    at += size, passed_ += size;
  }
  waiting_.erase(0, at);
  return deltas;
}

std::vector<reply::Delta> ReplyStream::finish() {
  std::vector<reply::Delta> deltas = parser_.push(std::exchange(waiting_, {}));
  append(deltas, parser_.finish());
  return deltas;
}

}  // namespace medlar
