// Evaluating expressions.
#include "text/jinja/interpreter.h"

#include <algorithm>

#include "text/jinja/attributes.h"
#include "text/jinja/compare.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"

namespace medlar::jinja {
namespace {

Builtin known(Builtin function, std::string_view what, const std::string& name) {
  if (function == nullptr) fail(ErrorKind::usage, "no {} named '{}'", what, name);
  return function;
}

}  // namespace

Value Interpreter::eval(const Expr& expr, Activation& activation) {
  if (expr.kind == ExprKind::constant) return static_cast<const Constant&>(expr).value;
  const Nesting nesting(rt_.budget());
  rt_.budget().spend();
  rt_.line = expr.line;
  switch (expr.kind) {
    case ExprKind::constant:
      break;
    case ExprKind::name:
      return eval_name(static_cast<const Name&>(expr), activation);
    case ExprKind::tuple:
      return rt_.tuple(eval_items(static_cast<const TupleExpr&>(expr).items, activation));
    case ExprKind::list:
      return rt_.list(eval_items(static_cast<const ListExpr&>(expr).items, activation));
    case ExprKind::dict:
      return eval_dict(static_cast<const DictExpr&>(expr), activation);
    case ExprKind::unary:
      return eval_unary(static_cast<const Unary&>(expr), activation);
    case ExprKind::logical:
      return eval_logical(static_cast<const Logical&>(expr), activation);
    case ExprKind::binary:
      return eval_binary(static_cast<const Binary&>(expr), activation);
    case ExprKind::concat:
      return eval_concat(static_cast<const Concat&>(expr), activation);
    case ExprKind::compare:
      return eval_compare(static_cast<const Compare&>(expr), activation);
    case ExprKind::conditional:
      return eval_conditional(static_cast<const Conditional&>(expr), activation);
    case ExprKind::attribute:
      return eval_attribute(static_cast<const Attribute&>(expr), activation);
    case ExprKind::item:
      return eval_item(static_cast<const Item&>(expr), activation);
    case ExprKind::slice:
      return eval_slice(static_cast<const SliceExpr&>(expr), activation);
    case ExprKind::call:
      return eval_call(static_cast<const Call&>(expr), activation, {});
    case ExprKind::filter:
      return eval_filter(static_cast<const Filter&>(expr), activation);
    case ExprKind::test:
      return eval_test(static_cast<const Test&>(expr), activation);
  }
  return {};
}

bool Interpreter::holds(const ExprPtr& expr, Activation& activation) {
  return truthy(rt_, eval(expr, activation));
}

Value Interpreter::eval_name(const Name& name, Activation& activation) {
  const Value& value = activation.at(name.slot);
  if (!value.is(Kind::unset)) return value;
  return Value::undefined(fmt::format("'{}' is undefined", name.name));
}

std::vector<Value> Interpreter::eval_items(const ExprList& items, Activation& activation) {
  std::vector<Value> values;
  values.reserve(items.size());
  for (const ExprPtr& item : items) values.push_back(eval(item, activation));
  return values;
}

Value Interpreter::eval_dict(const DictExpr& expr, Activation& activation) {
  Dict dict;
  for (const auto& [key, value] : expr.entries) {
    Value k = eval(key, activation);
    dict.set(std::move(k), eval(value, activation));
  }
  return rt_.dict(std::move(dict));
}

Value Interpreter::eval_unary(const Unary& unary, Activation& activation) {
  const Value operand = eval(unary.operand, activation);
  switch (unary.op) {
    case Unary::Op::negate:
      return negated(operand);
    case Unary::Op::plus:
      return plus(operand);
    case Unary::Op::invert:
      return Value::boolean(!truthy(rt_, operand));
  }
  return {};
}

Value Interpreter::eval_logical(const Logical& logical, Activation& activation) {
  Value left = eval(logical.left, activation);
  if (truthy(rt_, left) != logical.conjunction) return left;
  return eval(logical.right, activation);
}

Value Interpreter::eval_binary(const Binary& expr, Activation& activation) {
  const Value left = eval(expr.left, activation);
  const Value right = eval(expr.right, activation);
  rt_.line = expr.line;
  return binary(rt_, expr.op, left, right);
}

Value Interpreter::eval_concat(const Concat& concat, Activation& activation) {
  TextBuilder out(rt_.budget());
  for (const ExprPtr& part : concat.parts) append_str(rt_, out, eval(part, activation));
  return rt_.text(std::move(out));
}

Value Interpreter::eval_compare(const Compare& compare, Activation& activation) {
  Value left = eval(compare.first, activation);
  for (const auto& [op, operand] : compare.rest) {
    Value right = eval(operand, activation);
    rt_.line = compare.line;
    bool result = false;
    switch (op) {
      case Compare::Op::equal:
        result = equal(rt_, left, right);
        break;
      case Compare::Op::not_equal:
        result = !equal(rt_, left, right);
        break;
      case Compare::Op::less:
        result = ordered(Ordering::lt, left, right);
        break;
      case Compare::Op::less_equal:
        result = ordered(Ordering::le, left, right);
        break;
      case Compare::Op::greater:
        result = ordered(Ordering::gt, left, right);
        break;
      case Compare::Op::greater_equal:
        result = ordered(Ordering::ge, left, right);
        break;
      case Compare::Op::in:
        result = contains(rt_, left, right);
        break;
      case Compare::Op::not_in:
        result = !contains(rt_, left, right);
        break;
    }
    if (!result) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::eval_conditional(const Conditional& conditional, Activation& activation) {
  if (holds(conditional.test, activation)) return eval(conditional.then, activation);
  if (conditional.otherwise) return eval(conditional.otherwise, activation);
  return Value::undefined("the inline if-expression evaluated to false and no else section was defined");
}

Value Interpreter::eval_attribute(const Attribute& attribute, Activation& activation) {
  const Value object = eval(attribute.object, activation);
  rt_.line = attribute.line;
  return get_attribute(rt_, object, attribute.member);
}

Value Interpreter::eval_item(const Item& item, Activation& activation) {
  const Value object = eval(item.object, activation);
  const Value key = eval(item.key, activation);
  rt_.line = item.line;
  return get_item(rt_, object, key, item.member.get());
}

Value Interpreter::eval_slice(const SliceExpr& slice, Activation& activation) {
  const Value object = eval(slice.object, activation);
  const auto bound = [&](const ExprPtr& expr) { return expr ? eval(expr, activation) : Value(); };
  const Value start = bound(slice.start);
  const Value stop = bound(slice.stop);
  const Value step = bound(slice.step);
  rt_.line = slice.line;
  return get_slice(rt_, object, start, stop, step);
}

Arguments Interpreter::eval_arguments(const CallArguments& arguments, Activation& activation) {
  Arguments out;
  out.positional = eval_items(arguments.positional, activation);
  if (arguments.more_positional) {
    for (Value& value : collect(rt_, eval(arguments.more_positional, activation))) {
      out.positional.push_back(std::move(value));
    }
  }
  out.named.reserve(arguments.named.size());
  for (const auto& [name, value] : arguments.named) out.named.emplace_back(name, eval(value, activation));
  if (!arguments.more_named) return out;
  const Value more = eval(arguments.more_named, activation);
  if (!more.is(Kind::dict)) fail(ErrorKind::usage, "what follows ** must be a mapping");
  for (const auto& [key, value] : more.as_dict().entries()) {
    rt_.budget().spend();
    const std::string& name = text_argument(key, "a keyword").text;
    const bool repeated = std::any_of(arguments.named.begin(), arguments.named.end(),
                                      [&](const auto& argument) { return argument.first == name; });
    if (repeated) fail(ErrorKind::usage, "got several values for the keyword argument '{}'", name);
    out.named.emplace_back(name, value);
  }
  return out;
}

Value Interpreter::eval_call(const Call& call, Activation& activation, const Value& caller) {
  Value self;
  const Method* method = nullptr;
  Value function;
  if (call.function->kind == ExprKind::attribute) {
    // A method of a built-in type needs no object of its own to be called.
    const auto& attribute = static_cast<const Attribute&>(*call.function);
    self = eval(attribute.object, activation);
    rt_.line = attribute.line;
    method = attribute.member.method_of(self);
    if (method != nullptr && method->use != Method::Use::method) method = nullptr;
    if (method == nullptr) function = get_attribute(rt_, self, attribute.member);
  } else {
    function = eval(call.function, activation);
  }
  Arguments arguments = eval_arguments(call.arguments, activation);
  if (!caller.is(Kind::unset)) arguments.named.emplace_back("caller", caller);
  rt_.line = call.line;
  return method != nullptr ? method->call(rt_, self, arguments) : rt_.call(function, arguments);
}

Value Interpreter::eval_filter(const Filter& filter, Activation& activation) {
  const Value input = filter.input ? eval(filter.input, activation) : filter_input_;
  Arguments arguments = eval_arguments(filter.arguments, activation);
  rt_.line = filter.line;
  return known(filter.function, "filter", filter.name)(rt_, input, arguments);
}

Value Interpreter::eval_test(const Test& test, Activation& activation) {
  const Value input = eval(test.input, activation);
  Arguments arguments = eval_arguments(test.arguments, activation);
  rt_.line = test.line;
  return known(test.function, "test", test.name)(rt_, input, arguments);
}

}  // namespace medlar::jinja
