// Building expressions.
#include "text/grammar/rules.h"

#include <utility>

namespace medlar::grammar {

Expr Rules::sequence(std::vector<Expr> parts) {
  return parts.size() == 1 ? parts[0] : add(Sequence{std::move(parts)});
}

Expr Rules::choice(std::vector<Expr> parts) {
  return parts.size() == 1 ? parts[0] : add(Choice{std::move(parts)});
}

RuleId Rules::declare(std::string name) {
  rules_.push_back({.name = std::move(name)});
  return static_cast<RuleId>(rules_.size() - 1);
}

Expr Rules::add(Node node) {
  nodes_.push_back(std::move(node));
  return static_cast<Expr>(nodes_.size() - 1);
}

}  // namespace medlar::grammar
