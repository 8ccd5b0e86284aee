// Expressions, by recursive descent over the tokens. Precedence, weakest first: if-else, or, and, not,
// comparisons,
// + -, ~, * / // %, ** (from the left), unary signs, then . [] () and filters and tests.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"
#include "text/jinja/parser.h"

namespace medlar::jinja {

class ExpressionParser {
 public:
  ExpressionParser(std::vector<Token> tokens, const ParseLimits& limits)
      : tokens_(std::move(tokens)), limits_(limits) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  bool is(TokenKind kind) const { return current().kind == kind; }
  bool is_name(std::string_view name) const { return is(TokenKind::name) && current().text == name; }
  const Token& take() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool skip(TokenKind kind);
  bool skip_name(std::string_view name);
  const Token& expect(TokenKind kind);
  void expect_name(std::string_view name);
  [[noreturn]] void fail_here(const std::string& message) const { syntax_error(current().line, message); }

  ExprPtr expression();
  // Without if-else.
  ExprPtr plain_expression() { return disjunction(); }
  // One expression, or several with commas between: a tuple.
  ExprPtr tuple(bool conditional);
  // |name(arguments)|...; `input` may be null. `first_named`: the first has no bar before it.
  ExprPtr filters(ExprPtr input, bool first_named);
  // What a for, set or with assigns to. `attributes`: namespace.name is allowed.
  Target target(bool attributes);
  // A name that can be assigned to.
  Token assignable_name();

  // Counts a level of nesting while it lives; throws past the limit.
  class Level {
   public:
    explicit Level(ExpressionParser& parser) : parser_(parser) {
      if (++parser_.depth_ > parser_.limits_.depth) parser_.too_deep();
    }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    ExpressionParser& parser_;
  };

 private:
  ExprPtr disjunction();
  ExprPtr conjunction();
  ExprPtr negation();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filters);
  ExprPtr primary();
  ExprPtr name_or_constant();
  ExprPtr parenthesized();
  ExprPtr list();
  ExprPtr dict();
  ExprPtr postfix(ExprPtr node);
  ExprPtr filters_and_tests(ExprPtr node);
  ExprPtr after_dot(ExprPtr object);
  ExprPtr subscript(ExprPtr object);
  ExprPtr slice(ExprPtr object, ExprPtr start, int line);
  ExprPtr call(ExprPtr function);
  ExprPtr test(ExprPtr input);
  std::string dotted_name();
  CallArguments arguments();
  void argument(CallArguments& out, int line);
  Target one_target(bool attributes);
  Target as_target(const Expr& expr) const;
  bool ends_tuple() const;
  [[noreturn]] void too_deep() const { fail_here("the template nests too deep"); }

  // The node, once its children have raised its height.
  template <class T>
  std::unique_ptr<T> sized(std::unique_ptr<T> node) const {
    if (node->height > limits_.depth) too_deep();
    return node;
  }
  static void raise(Expr& node, const ExprPtr& child) {
    if (child) node.height = std::max(node.height, child->height + 1);
  }
  static void raise(Expr& node, const ExprList& children) {
    for (const ExprPtr& child : children) raise(node, child);
  }
  static void raise(Expr& node, const CallArguments& arguments);

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  ParseLimits limits_;
  int depth_ = 0;
};

}  // namespace medlar::jinja
