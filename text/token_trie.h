// Every token that a text starts with: a prefix tree in flat arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/token_spec.h"

namespace medlar::text {

class TokenTrie {
 public:
  struct Entry {
    std::string_view text;
    TokenId id = kNoToken;
  };
  struct Match {
    TokenId id = kNoToken;
    std::size_t length = 0;  // bytes
  };
  using Node = std::uint32_t;
  static constexpr Node kRoot = 0;
  static constexpr Node kNone = 0;  // the root is nobody's child

  // Of entries with the same text the lowest id wins; empty texts are left out.
  explicit TokenTrie(std::vector<Entry> entries = {});

  bool empty() const { return labels_.size() <= 1; }
  Node child(Node node, char byte) const;
  // kNoToken when no token ends at this node.
  TokenId token(Node node) const { return tokens_[node]; }

  // The longest token that text[at..] starts with.
  Match longest(std::string_view text, std::size_t at) const;

 private:
  // Nodes in breadth-first order, so a node's children are neighbours: [children_[n], children_[n + 1]).
  std::vector<Node> children_;
  std::vector<char> labels_;  // the byte that leads to the node
  std::vector<TokenId> tokens_;
};

}  // namespace medlar::text
