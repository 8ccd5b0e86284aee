// The expression grammar.
#include "text/jinja/expression_parser.h"

#include <algorithm>

#include <fmt/format.h>

#include "text/jinja/builtins.h"

namespace medlar::jinja {
namespace {

template <class T>
std::unique_ptr<T> node(int line) {
  return std::make_unique<T>(line);
}

ExprPtr constant(int line, Value value) {
  auto made = node<Constant>(line);
  made->value = std::move(value);
  return made;
}

const Value* constant_value(const ExprPtr& expr) {
  return expr->kind == ExprKind::constant ? &static_cast<const Constant&>(*expr).value : nullptr;
}

// The values of expressions that are all constant.
std::optional<std::vector<Value>> constant_values(const ExprList& items) {
  std::vector<Value> values;
  for (const ExprPtr& item : items) {
    const Value* value = constant_value(item);
    if (value == nullptr) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

std::optional<Compare::Op> comparison_operator(TokenKind kind) {
  switch (kind) {
    case TokenKind::equal:
      return Compare::Op::equal;
    case TokenKind::not_equal:
      return Compare::Op::not_equal;
    case TokenKind::less:
      return Compare::Op::less;
    case TokenKind::less_equal:
      return Compare::Op::less_equal;
    case TokenKind::greater:
      return Compare::Op::greater;
    case TokenKind::greater_equal:
      return Compare::Op::greater_equal;
    default:
      return std::nullopt;
  }
}

std::optional<BinaryOp> product_operator(TokenKind kind) {
  switch (kind) {
    case TokenKind::multiply:
      return BinaryOp::multiply;
    case TokenKind::divide:
      return BinaryOp::divide;
    case TokenKind::floor_divide:
      return BinaryOp::floor_divide;
    case TokenKind::modulo:
      return BinaryOp::modulo;
    default:
      return std::nullopt;
  }
}

bool is_constant_name(std::string_view name) {
  return name == "true" || name == "True" || name == "false" || name == "False" || name == "none" ||
         name == "None";
}

}  // namespace

bool ExpressionParser::skip(TokenKind kind) {
  if (!is(kind)) return false;
  take();
  return true;
}

bool ExpressionParser::skip_name(std::string_view name) {
  if (!is_name(name)) return false;
  take();
  return true;
}

const Token& ExpressionParser::expect(TokenKind kind) {
  if (!is(kind)) fail_here(fmt::format("expected '{}', got '{}'", describe(kind), describe(current())));
  return take();
}

void ExpressionParser::expect_name(std::string_view name) {
  if (!skip_name(name)) fail_here(fmt::format("expected '{}', got '{}'", name, describe(current())));
}

void ExpressionParser::raise(Expr& node, const CallArguments& arguments) {
  raise(node, arguments.positional);
  for (const auto& [name, value] : arguments.named) raise(node, value);
  raise(node, arguments.more_positional);
  raise(node, arguments.more_named);
}

ExprPtr ExpressionParser::expression() {
  const Level level(*this);
  ExprPtr value = disjunction();
  while (is_name("if")) {
    auto conditional = node<Conditional>(take().line);
    conditional->test = disjunction();
    if (skip_name("else")) conditional->otherwise = expression();
    conditional->then = std::move(value);
    raise(*conditional, conditional->test);
    raise(*conditional, conditional->then);
    raise(*conditional, conditional->otherwise);
    value = sized(std::move(conditional));
  }
  return value;
}

ExprPtr ExpressionParser::disjunction() {
  ExprPtr left = conjunction();
  while (is_name("or")) {
    auto made = node<Logical>(take().line);
    made->conjunction = false;
    made->left = std::move(left);
    made->right = conjunction();
    raise(*made, made->right);
    raise(*made, made->left);
    left = sized(std::move(made));
  }
  return left;
}

ExprPtr ExpressionParser::conjunction() {
  ExprPtr left = negation();
  while (is_name("and")) {
    auto made = node<Logical>(take().line);
    made->left = std::move(left);
    made->right = negation();
    raise(*made, made->right);
    raise(*made, made->left);
    left = sized(std::move(made));
  }
  return left;
}

ExprPtr ExpressionParser::negation() {
  if (!is_name("not")) return comparison();
  const Level level(*this);
  auto made = node<Unary>(take().line);
  made->operand = negation();
  raise(*made, made->operand);
  return sized(std::move(made));
}

ExprPtr ExpressionParser::comparison() {
  ExprPtr first = sum();
  std::unique_ptr<Compare> chain;
  while (true) {
    const int line = current().line;
    std::optional<Compare::Op> op = comparison_operator(current().kind);
    if (op) {
      take();
    } else if (skip_name("in")) {
      op = Compare::Op::in;
    } else if (is_name("not") && next().kind == TokenKind::name && next().text == "in") {
      take();
      take();
      op = Compare::Op::not_in;
    } else {
      break;
    }
    if (!chain) {
      chain = node<Compare>(line);
      raise(*chain, first);
    }
    ExprPtr operand = sum();
    raise(*chain, operand);
    chain->rest.emplace_back(*op, std::move(operand));
  }
  if (!chain) return first;
  chain->first = std::move(first);
  return sized(std::move(chain));
}

ExprPtr ExpressionParser::sum() {
  ExprPtr left = concatenation();
  while (is(TokenKind::add) || is(TokenKind::subtract)) {
    const Token& sign = take();
    auto made = node<Binary>(sign.line);
    made->op = sign.kind == TokenKind::add ? BinaryOp::add : BinaryOp::subtract;
    made->left = std::move(left);
    made->right = concatenation();
    raise(*made, made->left);
    raise(*made, made->right);
    left = sized(std::move(made));
  }
  return left;
}

ExprPtr ExpressionParser::concatenation() {
  ExprPtr first = product();
  if (!is(TokenKind::tilde)) return first;
  auto made = node<Concat>(current().line);
  made->parts.push_back(std::move(first));
  while (skip(TokenKind::tilde)) made->parts.push_back(product());
  raise(*made, made->parts);
  return sized(std::move(made));
}

ExprPtr ExpressionParser::product() {
  ExprPtr left = power();
  while (const auto op = product_operator(current().kind)) {
    auto made = node<Binary>(take().line);
    made->op = *op;
    made->left = std::move(left);
    made->right = power();
    raise(*made, made->left);
    raise(*made, made->right);
    left = sized(std::move(made));
  }
  return left;
}

ExprPtr ExpressionParser::power() {
  ExprPtr left = unary(true);
  while (is(TokenKind::power)) {
    auto made = node<Binary>(take().line);
    made->op = BinaryOp::power;
    made->left = std::move(left);
    made->right = unary(true);
    raise(*made, made->left);
    raise(*made, made->right);
    left = sized(std::move(made));
  }
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filters) {
  ExprPtr value;
  if (is(TokenKind::subtract) || is(TokenKind::add)) {
    const Level level(*this);
    const Token& sign = take();
    auto made = node<Unary>(sign.line);
    made->op = sign.kind == TokenKind::subtract ? Unary::Op::negate : Unary::Op::plus;
    made->operand = unary(false);
    raise(*made, made->operand);
    value = sized(std::move(made));
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filters ? filters_and_tests(std::move(value)) : std::move(value);
}

ExprPtr ExpressionParser::primary() {
  const Token& token = current();
  switch (token.kind) {
    case TokenKind::name:
      return name_or_constant();
    case TokenKind::string: {
      std::string text = take().text;
      while (is(TokenKind::string)) text += take().text;
      return constant(token.line, Value::string(std::move(text)));
    }
    case TokenKind::integer:
      return constant(token.line, Value::integer(take().integer));
    case TokenKind::real:
      return constant(token.line, Value::real(take().real));
    case TokenKind::left_paren:
      return parenthesized();
    case TokenKind::left_bracket:
      return list();
    case TokenKind::left_brace:
      return dict();
    default:
      fail_here(fmt::format("unexpected '{}'", describe(token)));
  }
}

ExprPtr ExpressionParser::name_or_constant() {
  const Token& token = take();
  if (token.text == "none" || token.text == "None") return constant(token.line, Value::none());
  if (is_constant_name(token.text)) {
    return constant(token.line, Value::boolean(token.text == "true" || token.text == "True"));
  }
  auto made = node<Name>(token.line);
  made->name = token.text;
  return made;
}

bool ExpressionParser::ends_tuple() const {
  return is(TokenKind::variable_end) || is(TokenKind::block_end) || is(TokenKind::right_paren);
}

ExprPtr ExpressionParser::tuple(bool conditional) {
  const int line = current().line;
  ExprList items;
  bool comma = false;
  while (!ends_tuple()) {
    items.push_back(conditional ? expression() : plain_expression());
    if (!is(TokenKind::comma)) break;
    comma = true;
    take();
  }
  if (!comma && items.empty())
    fail_here(fmt::format("expected an expression, got '{}'", describe(current())));
  if (!comma) return std::move(items.front());
  if (auto values = constant_values(items)) {
    auto folded = std::make_shared<Tuple>();
    for (const Value& value : *values) folded->extent.add(value, Limits{});
    folded->items = std::move(*values);
    return constant(line, Value(std::shared_ptr<const Tuple>(std::move(folded))));
  }
  auto made = node<TupleExpr>(line);
  made->items = std::move(items);
  raise(*made, made->items);
  return sized(std::move(made));
}

ExprPtr ExpressionParser::parenthesized() {
  const Level level(*this);
  const int line = expect(TokenKind::left_paren).line;
  if (skip(TokenKind::right_paren)) return node<TupleExpr>(line);
  ExprPtr value = tuple(true);
  expect(TokenKind::right_paren);
  return value;
}

ExprPtr ExpressionParser::list() {
  const Level level(*this);
  auto made = node<ListExpr>(expect(TokenKind::left_bracket).line);
  while (!is(TokenKind::right_bracket)) {
    if (!made->items.empty()) expect(TokenKind::comma);
    if (is(TokenKind::right_bracket)) break;
    made->items.push_back(expression());
  }
  expect(TokenKind::right_bracket);
  if (auto values = constant_values(made->items))
    return constant(made->line, Value::list(std::move(*values)));
  raise(*made, made->items);
  return sized(std::move(made));
}

ExprPtr ExpressionParser::dict() {
  const Level level(*this);
  auto made = node<DictExpr>(expect(TokenKind::left_brace).line);
  while (!is(TokenKind::right_brace)) {
    if (!made->entries.empty()) expect(TokenKind::comma);
    if (is(TokenKind::right_brace)) break;
    ExprPtr key = expression();
    expect(TokenKind::colon);
    ExprPtr value = expression();
    raise(*made, key);
    raise(*made, value);
    made->entries.emplace_back(std::move(key), std::move(value));
  }
  expect(TokenKind::right_brace);
  return sized(std::move(made));
}

ExprPtr ExpressionParser::postfix(ExprPtr value) {
  while (true) {
    if (is(TokenKind::dot)) {
      value = after_dot(std::move(value));
    } else if (is(TokenKind::left_bracket)) {
      value = subscript(std::move(value));
    } else if (is(TokenKind::left_paren)) {
      value = call(std::move(value));
    } else {
      return value;
    }
  }
}

ExprPtr ExpressionParser::filters_and_tests(ExprPtr value) {
  while (true) {
    if (is(TokenKind::pipe)) {
      value = filters(std::move(value), false);
    } else if (is_name("is")) {
      value = test(std::move(value));
    } else if (is(TokenKind::left_paren)) {
      value = call(std::move(value));
    } else {
      return value;
    }
  }
}

ExprPtr ExpressionParser::after_dot(ExprPtr object) {
  const int line = take().line;
  if (is(TokenKind::name)) {
    auto made = std::make_unique<Attribute>(line, take().text);
    made->object = std::move(object);
    raise(*made, made->object);
    return sized(std::move(made));
  }
  if (!is(TokenKind::integer)) fail_here("expected name or number");
  auto made = node<Item>(line);
  made->key = constant(line, Value::integer(take().integer));
  made->object = std::move(object);
  raise(*made, made->object);
  return sized(std::move(made));
}

ExprPtr ExpressionParser::slice(ExprPtr object, ExprPtr start, int line) {
  auto made = node<SliceExpr>(line);
  const auto bound = [this]() -> ExprPtr {
    const bool absent = is(TokenKind::colon) || is(TokenKind::right_bracket) || is(TokenKind::comma);
    return absent ? nullptr : expression();
  };
  expect(TokenKind::colon);
  made->start = std::move(start);
  made->stop = bound();
  if (skip(TokenKind::colon)) made->step = bound();
  made->object = std::move(object);
  for (const ExprPtr* part : {&made->object, &made->start, &made->stop, &made->step}) raise(*made, *part);
  expect(TokenKind::right_bracket);
  return sized(std::move(made));
}

ExprPtr ExpressionParser::subscript(ExprPtr object) {
  const Level level(*this);
  const int line = expect(TokenKind::left_bracket).line;
  if (is(TokenKind::colon)) return slice(std::move(object), nullptr, line);
  ExprList keys;
  bool comma = false;
  while (!is(TokenKind::right_bracket)) {
    keys.push_back(expression());
    if (keys.size() == 1 && is(TokenKind::colon)) return slice(std::move(object), std::move(keys[0]), line);
    if (is(TokenKind::right_bracket)) break;
    expect(TokenKind::comma);
    comma = is(TokenKind::right_bracket);
    if (comma) fail_here("unexpected ']'");
  }
  expect(TokenKind::right_bracket);
  auto made = node<Item>(line);
  made->object = std::move(object);
  if (keys.size() == 1) {
    made->key = std::move(keys[0]);
    const Value* key = constant_value(made->key);
    if (key != nullptr && key->is(Kind::string)) made->member = std::make_unique<Member>(key->as_text());
  } else {
    auto several = node<TupleExpr>(line);
    several->items = std::move(keys);
    raise(*several, several->items);
    made->key = std::move(several);
  }
  raise(*made, made->object);
  raise(*made, made->key);
  return sized(std::move(made));
}

ExprPtr ExpressionParser::call(ExprPtr function) {
  auto made = node<Call>(current().line);
  made->function = std::move(function);
  made->arguments = arguments();
  raise(*made, made->function);
  raise(*made, made->arguments);
  return sized(std::move(made));
}

CallArguments ExpressionParser::arguments() {
  const Level level(*this);
  CallArguments out;
  const int line = expect(TokenKind::left_paren).line;
  for (bool first = true; !is(TokenKind::right_paren); first = false) {
    if (!first) {
      expect(TokenKind::comma);
      if (is(TokenKind::right_paren)) break;
    }
    argument(out, line);
  }
  expect(TokenKind::right_paren);
  return out;
}

void ExpressionParser::argument(CallArguments& out, int line) {
  const auto ensure = [line](bool valid) {
    if (!valid) syntax_error(line, "invalid syntax for function call expression");
  };
  if (skip(TokenKind::multiply)) {
    ensure(!out.more_positional && !out.more_named);
    out.more_positional = expression();
  } else if (skip(TokenKind::power)) {
    ensure(!out.more_named);
    out.more_named = expression();
  } else if (is(TokenKind::name) && next().kind == TokenKind::assign) {
    ensure(!out.more_named);
    std::string name = take().text;
    take();
    const bool repeated =
        std::any_of(out.named.begin(), out.named.end(), [&](const auto& a) { return a.first == name; });
    if (repeated) syntax_error(line, fmt::format("keyword argument repeated: {}", name));
    out.named.emplace_back(std::move(name), expression());
  } else {
    ensure(!out.more_positional && !out.more_named && out.named.empty());
    out.positional.push_back(expression());
  }
}

std::string ExpressionParser::dotted_name() {
  std::string name = expect(TokenKind::name).text;
  while (skip(TokenKind::dot)) name += "." + expect(TokenKind::name).text;
  return name;
}

ExprPtr ExpressionParser::filters(ExprPtr input, bool first_named) {
  while (first_named || is(TokenKind::pipe)) {
    if (!first_named) take();
    first_named = false;
    auto made = node<Filter>(current().line);
    made->name = dotted_name();
    made->function = find_filter(made->name);
    if (is(TokenKind::left_paren)) made->arguments = arguments();
    made->input = std::move(input);
    raise(*made, made->input);
    raise(*made, made->arguments);
    input = sized(std::move(made));
  }
  return input;
}

ExprPtr ExpressionParser::test(ExprPtr input) {
  auto made = node<Test>(take().line);
  const bool negated = skip_name("not");
  made->name = dotted_name();
  made->function = find_test(made->name);
  const bool operand = is(TokenKind::name) || is(TokenKind::string) || is(TokenKind::integer) ||
                       is(TokenKind::real) || is(TokenKind::left_bracket) || is(TokenKind::left_brace);
  if (is(TokenKind::left_paren)) {
    made->arguments = arguments();
  } else if (operand && !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) fail_here("you cannot chain multiple tests with is");
    made->arguments.positional.push_back(postfix(primary()));
  }
  made->input = std::move(input);
  raise(*made, made->input);
  raise(*made, made->arguments);
  ExprPtr result = sized(std::move(made));
  if (!negated) return result;
  auto inverted = node<Unary>(result->line);
  inverted->operand = std::move(result);
  raise(*inverted, inverted->operand);
  return sized(std::move(inverted));
}

Token ExpressionParser::assignable_name() {
  const Token& token = expect(TokenKind::name);
  if (is_constant_name(token.text)) syntax_error(token.line, fmt::format("can't assign to '{}'", token.text));
  return token;
}

Target ExpressionParser::as_target(const Expr& expr) const {
  if (expr.kind == ExprKind::name) {
    return {.kind = Target::Kind::name, .line = expr.line, .name = static_cast<const Name&>(expr).name};
  }
  if (expr.kind != ExprKind::tuple) syntax_error(expr.line, "can't assign to an expression");
  Target out{.kind = Target::Kind::tuple, .line = expr.line};
  for (const ExprPtr& item : static_cast<const TupleExpr&>(expr).items) out.items.push_back(as_target(*item));
  return out;
}

Target ExpressionParser::one_target(bool attributes) {
  if (!is(TokenKind::name)) return as_target(*primary());
  if (attributes && next().kind == TokenKind::dot) {
    const Token& owner = take();
    take();
    return {.kind = Target::Kind::attribute,
            .line = owner.line,
            .name = owner.text,
            .attribute = expect(TokenKind::name).text};
  }
  const Token name = assignable_name();
  return {.kind = Target::Kind::name, .line = name.line, .name = name.text};
}

Target ExpressionParser::target(bool attributes) {
  Target all{.kind = Target::Kind::tuple, .line = current().line};
  bool comma = false;
  while (!ends_tuple()) {
    all.items.push_back(one_target(attributes));
    if (!is(TokenKind::comma)) break;
    comma = true;
    take();
  }
  if (comma) return all;
  if (all.items.empty()) fail_here(fmt::format("expected an expression, got '{}'", describe(current())));
  return std::move(all.items.front());
}

}  // namespace medlar::jinja
