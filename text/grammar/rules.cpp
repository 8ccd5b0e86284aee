// Building expressions.
#include "text/grammar/rules.h"

#include <type_traits>
#include <utility>

namespace medlar::grammar {
namespace {

// The same node with its numbers moved to where its expressions and rules are now.
Rules::Node moved(Rules::Node node, Expr exprs, RuleId rules) {
  std::visit(
      [&]<class T>(T& n) {
        if constexpr (std::is_same_v<T, Rules::Sequence> || std::is_same_v<T, Rules::Choice>) {
          for (Expr& part : n.parts) part += exprs;
        } else if constexpr (std::is_same_v<T, Rules::Repeat>) {
          n.body += exprs;
        } else if constexpr (std::is_same_v<T, Rules::Call>) {
          n.rule += rules;
        } else if constexpr (std::is_same_v<T, Graph>) {
          for (Graph::Edge& edge : n.edges) edge.reads += exprs;
        }
      },
      node);
  return node;
}

}  // namespace

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

RuleId Rules::import(const Rules& other) {
  const auto exprs = static_cast<Expr>(nodes_.size());
  const auto rules = static_cast<RuleId>(rules_.size());
  for (const Node& node : other.nodes_) nodes_.push_back(moved(node, exprs, rules));
  for (Rule rule : other.rules_) {
    rule.body += exprs;
    if (rule.like.rule != kUnbounded) rule.like.rule += rules;
    rules_.push_back(std::move(rule));
  }
  return rules + other.root;
}

void Rules::rewrite(const std::function<std::string(const std::string&)>& change) {
  for (Node& node : nodes_)
    if (std::string* const text = std::get_if<std::string>(&node)) *text = change(*text);
}

Expr Rules::add(Node node) {
  nodes_.push_back(std::move(node));
  return static_cast<Expr>(nodes_.size() - 1);
}

}  // namespace medlar::grammar
