#include "engine/reply_stream.h"

#include <algorithm>
#include <iterator>

namespace medlar {
namespace {

void append(std::vector<reply::Delta>& all, std::vector<reply::Delta>&& more) {
  std::ranges::move(more, std::back_inserter(all));
}

}  // namespace

std::vector<reply::Delta> ReplyStream::note_special(std::string_view name) {
  specials_.push_back({noted_, std::string(name)});
  return push({});
}

std::vector<reply::Delta> ReplyStream::push(std::string_view text) {
  std::vector<reply::Delta> deltas;
  for (;;) {
    for (; !specials_.empty() && specials_.front().at == pushed_; specials_.pop_front())
      append(deltas, parser_.push(specials_.front().name, true));
    if (text.empty()) return deltas;
    const std::size_t size =
        specials_.empty() ? text.size() : std::min(text.size(), specials_.front().at - pushed_);
    append(deltas, parser_.push(text.substr(0, size)));
    text.remove_prefix(size);
    pushed_ += size;
  }
}

}  // namespace medlar
