// Visits every child of an expression.
#pragma once

#include "text/jinja/ast.h"

namespace medlar::jinja {

template <class F>
void for_each_argument(const CallArguments& arguments, F f) {
  for (const ExprPtr& argument : arguments.positional) f(argument);
  for (const auto& [name, argument] : arguments.named) f(argument);
  f(arguments.more_positional);
  f(arguments.more_named);
}

// f(const ExprPtr&), which may be null, for each direct child.
template <class F>
void for_each_child(const Expr& expr, F f) {
  switch (expr.kind) {
    case ExprKind::constant:
    case ExprKind::name:
      return;
    case ExprKind::tuple:
      for (const ExprPtr& item : static_cast<const TupleExpr&>(expr).items) f(item);
      return;
    case ExprKind::list:
      for (const ExprPtr& item : static_cast<const ListExpr&>(expr).items) f(item);
      return;
    case ExprKind::dict:
      for (const auto& [key, value] : static_cast<const DictExpr&>(expr).entries) {
        f(key);
        f(value);
      }
      return;
    case ExprKind::unary:
      return f(static_cast<const Unary&>(expr).operand);
    case ExprKind::logical: {
      const auto& logical = static_cast<const Logical&>(expr);
      f(logical.left);
      return f(logical.right);
    }
    case ExprKind::binary: {
      const auto& binary = static_cast<const Binary&>(expr);
      f(binary.left);
      return f(binary.right);
    }
    case ExprKind::concat:
      for (const ExprPtr& part : static_cast<const Concat&>(expr).parts) f(part);
      return;
    case ExprKind::compare: {
      const auto& compare = static_cast<const Compare&>(expr);
      f(compare.first);
      for (const auto& [op, operand] : compare.rest) f(operand);
      return;
    }
    case ExprKind::conditional: {
      const auto& conditional = static_cast<const Conditional&>(expr);
      f(conditional.test);
      f(conditional.then);
      return f(conditional.otherwise);
    }
    case ExprKind::attribute:
      return f(static_cast<const Attribute&>(expr).object);
    case ExprKind::item: {
      const auto& item = static_cast<const Item&>(expr);
      f(item.object);
      return f(item.key);
    }
    case ExprKind::slice: {
      const auto& slice = static_cast<const SliceExpr&>(expr);
      f(slice.object);
      f(slice.start);
      f(slice.stop);
      return f(slice.step);
    }
    case ExprKind::call: {
      const auto& call = static_cast<const Call&>(expr);
      f(call.function);
      return for_each_argument(call.arguments, f);
    }
    case ExprKind::filter: {
      const auto& filter = static_cast<const Filter&>(expr);
      f(filter.input);
      return for_each_argument(filter.arguments, f);
    }
    case ExprKind::test: {
      const auto& test = static_cast<const Test&>(expr);
      f(test.input);
      return for_each_argument(test.arguments, f);
    }
  }
}

// f(const Name&) for every variable read in the expression, which may be null.
template <class F>
void for_each_name(const ExprPtr& expr, const F& f) {
  if (!expr) return;
  if (expr->kind == ExprKind::name) return f(static_cast<const Name&>(*expr));
  for_each_child(*expr, [&f](const ExprPtr& child) { for_each_name(child, f); });
}

// f(const Target&) for the target and every one inside it.
template <class F>
void for_each_target(const Target& target, const F& f) {
  f(target);
  for (const Target& item : target.items) for_each_target(item, f);
}

}  // namespace medlar::jinja
