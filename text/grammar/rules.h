// A grammar as rules of expressions: what GBNF, regular expressions and JSON Schema are all written down as.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/grammar/char_set.h"

namespace medlar::grammar {

using RuleId = std::uint32_t;
using Expr = std::uint32_t;  // an expression of a Rules

inline constexpr std::uint32_t kUnbounded = ~std::uint32_t{0};

struct RepeatCount {
  std::uint32_t min = 0, max = kUnbounded;
};

// An automaton whose edges read expressions. It starts in state 0.
struct Graph {
  struct Edge {
    std::uint32_t from = 0, to = 0;
    Expr reads = 0;
  };
  std::vector<bool> final;  // one a state
  std::vector<Edge> edges;

  std::uint32_t add_state(bool is_final = false) {
    final.push_back(is_final);
    return static_cast<std::uint32_t>(final.size() - 1);
  }
};

// Expressions are made bottom up and never change. Their nesting is the caller's to bound.
class Rules {
 public:
  struct Sequence {
    std::vector<Expr> parts;
  };
  struct Choice {
    std::vector<Expr> parts;  // none: nothing can be read
  };
  struct Repeat {
    Expr body = 0;
    RepeatCount count;
  };
  struct Call {
    RuleId rule = 0;
  };
  using Node = std::variant<std::string, CharSet, Sequence, Choice, Repeat, Call, Graph>;

  Expr bytes(std::string_view text) { return add(std::string(text)); }
  Expr characters(CharSet set) { return add(std::move(set)); }
  Expr sequence(std::vector<Expr> parts);
  Expr choice(std::vector<Expr> parts);
  Expr repeat(Expr body, RepeatCount count) { return add(Repeat{body, count}); }
  Expr optional(Expr body) { return repeat(body, {0, 1}); }
  Expr call(RuleId rule) { return add(Call{rule}); }
  Expr graph(Graph graph) { return add(std::move(graph)); }

  // A rule that define() must be called for before the grammar is compiled.
  RuleId declare(std::string name);
  void define(RuleId rule, Expr body) { rules_[rule].body = body; }

  // Says that a rule's states read like those of `like`, as long as no more than `bytes` bytes are read: the
  // two must be written with the same kinds of expressions. Masks of the one then serve the other.
  void twin(RuleId rule, RuleId like, std::uint32_t bytes) { rules_[rule].like = {like, bytes}; }

  // Adds the rules of another grammar; returns what its root is here.
  RuleId import(const Rules& other);
  // Changes every text of bytes() so far.
  void rewrite(const std::function<std::string(const std::string&)>& change);

  struct Rule {
    std::string name;
    Expr body = 0;
    struct {
      RuleId rule = kUnbounded;  // none
      std::uint32_t bytes = 0;
    } like = {};
  };
  const std::vector<Rule>& rules() const { return rules_; }
  const Node& node(Expr e) const { return nodes_[e]; }
  std::size_t size() const { return nodes_.size(); }

  RuleId root = 0;

 private:
  Expr add(Node node);

  std::vector<Node> nodes_;
  std::vector<Rule> rules_;
};

}  // namespace medlar::grammar
