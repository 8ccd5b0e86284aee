// Built breadth first from the sorted entries: a node is a range of entries that share their first `depth`
// bytes.
#include "text/token_trie.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace medlar::text {

TokenTrie::TokenTrie(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& e) { return e.text.empty(); });
  std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
    return std::tie(a.text, a.id) < std::tie(b.text, b.id);
  });

  struct Range {
    std::uint32_t first, last, depth;
  };
  std::vector<Range> nodes{{0, static_cast<std::uint32_t>(entries.size()), 0}};
  labels_.push_back(0);
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    Range range = nodes[n];
    children_.push_back(static_cast<Node>(nodes.size()));
    tokens_.push_back(kNoToken);
    while (range.first < range.last && entries[range.first].text.size() == range.depth) {
      if (tokens_[n] == kNoToken) tokens_[n] = entries[range.first].id;
      ++range.first;
    }
    while (range.first < range.last) {
      const char label = entries[range.first].text[range.depth];
      std::uint32_t last = range.first + 1;
      while (last < range.last && entries[last].text[range.depth] == label) ++last;
      nodes.push_back({range.first, last, range.depth + 1});
      labels_.push_back(label);
      range.first = last;
    }
  }
  children_.push_back(static_cast<Node>(nodes.size()));
}

TokenTrie::Node TokenTrie::child(Node node, char byte) const {
  const Node first = children_[node];
  const std::size_t count = children_[node + 1] - first;
  if (count == 0) return kNone;
  const char* labels = labels_.data() + first;
  const void* found = std::memchr(labels, static_cast<unsigned char>(byte), count);
  return found ? first + static_cast<Node>(static_cast<const char*>(found) - labels) : kNone;
}

TokenTrie::Match TokenTrie::longest(std::string_view text, std::size_t at) const {
  Match best;
  Node node = kRoot;
  for (std::size_t i = at; i < text.size(); ++i) {
    node = child(node, text[i]);
    if (node == kNone) break;
    if (token(node) != kNoToken) best = {token(node), i + 1 - at};
  }
  return best;
}

}  // namespace medlar::text
