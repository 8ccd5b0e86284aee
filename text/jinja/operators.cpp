// Arithmetic, concatenation, repetition and membership.
#include "text/jinja/operators.h"

#include <cmath>

#include "text/jinja/compare.h"
#include "text/jinja/numbers.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

std::string_view symbol(BinaryOp op) {
  switch (op) {
    case BinaryOp::add:
      return "+";
    case BinaryOp::subtract:
      return "-";
    case BinaryOp::multiply:
      return "*";
    case BinaryOp::divide:
      return "/";
    case BinaryOp::floor_divide:
      return "//";
    case BinaryOp::modulo:
      return "%";
    case BinaryOp::power:
      return "**";
  }
  return "";
}

double real_of(const Value& v) {
  const auto integer = v.to_integer();
  return integer ? static_cast<double>(*integer) : v.as_real();
}

[[noreturn]] void divided_by_zero() { fail(ErrorKind::usage, "division by zero"); }

double real_power(double base, double exponent) {
  if (base == 0 && exponent < 0) divided_by_zero();
  if (base < 0 && std::isfinite(base) && std::isfinite(exponent) && std::trunc(exponent) != exponent) {
    fail(ErrorKind::unsupported, "complex numbers are not supported");
  }
  const double result = std::pow(base, exponent);
  if (std::isinf(result) && std::isfinite(base) && std::isfinite(exponent)) {
    fail(ErrorKind::usage, "a power is too large for a float");
  }
  return result;
}

Value integer_arithmetic(BinaryOp op, std::int64_t a, std::int64_t b) {
  switch (op) {
    case BinaryOp::add:
      return Value::integer(add(a, b));
    case BinaryOp::subtract:
      return Value::integer(subtract(a, b));
    case BinaryOp::multiply:
      return Value::integer(multiply(a, b));
    case BinaryOp::divide:
      if (b == 0) divided_by_zero();
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    case BinaryOp::floor_divide:
      if (b == 0) divided_by_zero();
      return Value::integer(floor_divide(a, b));
    case BinaryOp::modulo:
      if (b == 0) divided_by_zero();
      return Value::integer(modulo(a, b));
    case BinaryOp::power:
      if (b < 0) return Value::real(real_power(static_cast<double>(a), static_cast<double>(b)));
      return Value::integer(power(a, b));
  }
  return {};
}

Value real_arithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::add:
      return Value::real(a + b);
    case BinaryOp::subtract:
      return Value::real(a - b);
    case BinaryOp::multiply:
      return Value::real(a * b);
    case BinaryOp::divide:
      if (b == 0) divided_by_zero();
      return Value::real(a / b);
    case BinaryOp::floor_divide:
      if (b == 0) divided_by_zero();
      return Value::real(floor_divide(a, b));
    case BinaryOp::modulo:
      if (b == 0) divided_by_zero();
      return Value::real(modulo(a, b));
    case BinaryOp::power:
      return Value::real(real_power(a, b));
  }
  return {};
}

Value joined_text(Runtime& rt, const Value& a, const Value& b) {
  const bool markup = a.as_str().markup || b.as_str().markup;
  TextBuilder out(rt.budget());
  for (const Value* part : {&a, &b}) {
    if (markup && !part->as_str().markup) {
      append_escaped(out, part->as_text());
    } else {
      out.append(part->as_text());
    }
  }
  return rt.text(std::move(out), markup);
}

Value joined_items(Runtime& rt, const Value& a, const Value& b) {
  ItemsBuilder items(rt);
  for (const Value& item : *a.items()) items.push(item);
  for (const Value& item : *b.items()) items.push(item);
  return a.is(Kind::list) ? rt.list(items.take()) : rt.tuple(items.take());
}

Value repeated(Runtime& rt, const Value& sequence, std::int64_t times) {
  const auto count = static_cast<std::size_t>(times < 0 ? 0 : times);
  if (sequence.is(Kind::string)) {
    TextBuilder out(rt.budget());
    out.repeat(sequence.as_text(), count);
    return rt.text(std::move(out), sequence.as_str().markup);
  }
  const auto& items = *sequence.items();
  if (!items.empty() && count > rt.budget().room() / (items.size() * sizeof(Value))) {
    Budget::exhausted("memory");
  }
  ItemsBuilder out(rt);
  for (std::size_t i = 0; i < count && !items.empty(); ++i) {
    for (const Value& item : items) out.push(item);
  }
  return sequence.is(Kind::list) ? rt.list(out.take()) : rt.tuple(out.take());
}

bool is_sequence(const Value& v) { return v.is(Kind::string) || v.items() != nullptr; }

bool contains_entry(const Value& needle, const Dict& dict) { return dict.find(needle) != nullptr; }

}  // namespace

Value binary(Runtime& rt, BinaryOp op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    const auto x = a.to_integer();
    const auto y = b.to_integer();
    return x && y ? integer_arithmetic(op, *x, *y) : real_arithmetic(op, real_of(a), real_of(b));
  }
  if (op == BinaryOp::modulo && a.is(Kind::string)) return percent_format(rt, a.as_str(), b);
  if (a.is(Kind::undefined)) fail_undefined(a);
  if (b.is(Kind::undefined)) fail_undefined(b);
  if (op == BinaryOp::add && a.kind() == b.kind()) {
    if (a.is(Kind::string)) return joined_text(rt, a, b);
    if (a.items() != nullptr) return joined_items(rt, a, b);
  }
  if (op == BinaryOp::multiply) {
    if (is_sequence(a) && b.to_integer()) return repeated(rt, a, *b.to_integer());
    if (is_sequence(b) && a.to_integer()) return repeated(rt, b, *a.to_integer());
  }
  fail(ErrorKind::usage, "unsupported operand types for {}: '{}' and '{}'", symbol(op), type_name(a),
       type_name(b));
}

Value negated(const Value& v) {
  if (v.is(Kind::undefined)) fail_undefined(v);
  if (const auto integer = v.to_integer()) return Value::integer(subtract(0, *integer));
  if (v.is(Kind::real)) return Value::real(-v.as_real());
  fail(ErrorKind::usage, "bad operand type for unary -: '{}'", type_name(v));
}

Value plus(const Value& v) {
  if (v.is(Kind::undefined)) fail_undefined(v);
  if (const auto integer = v.to_integer()) return Value::integer(*integer);
  if (v.is(Kind::real)) return v;
  fail(ErrorKind::usage, "bad operand type for unary +: '{}'", type_name(v));
}

bool contains(Runtime& rt, const Value& needle, const Value& haystack) {
  switch (haystack.kind()) {
    case Kind::string:
      if (!needle.is(Kind::string)) {
        fail(ErrorKind::usage, "'in' a string needs a string, not '{}'", type_name(needle));
      }
      rt.budget().spend_bytes(haystack.as_text().size());
      return haystack.as_text().find(needle.as_text()) != std::string::npos;
    case Kind::dict:
      return contains_entry(needle, haystack.as_dict());
    case Kind::object:
      if (const auto known = haystack.as_object().contains(rt, needle)) return *known;
      [[fallthrough]];
    default: {
      bool found = false;
      rt.each(haystack, [&](const Value& item) {
        found = item.same(needle) || equal(rt, item, needle);
        return !found;
      });
      return found;
    }
  }
}

bool equal(Runtime& rt, const Value& a, const Value& b) {
  if (a.kind() == b.kind()) {
    if (a.is(Kind::string)) {
      if (a.as_text().size() == b.as_text().size()) rt.budget().spend_bytes(a.as_text().size());
    } else {
      rt.budget().spend(std::min(extent_of(a).weight, extent_of(b).weight));
    }
  }
  return equal(a, b);
}

Value escaped(Runtime& rt, const Value& value) {
  if (value.is(Kind::string) && value.as_str().markup) return value;
  TextBuilder out(rt.budget());
  append_escaped(out, to_text(rt, value));
  return rt.text(std::move(out), true);
}

}  // namespace medlar::jinja
