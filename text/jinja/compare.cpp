// Comparison by Python's rules: numbers of different types compare exactly, sequences item by item.
#include "text/jinja/compare.h"

#include <cmath>
#include <compare>
#include <functional>

#include "text/jinja/object.h"

namespace medlar::jinja {
namespace {

constexpr double kTwo63 = 9223372036854775808.0;

std::partial_ordering compare_numbers(std::int64_t a, double b) {
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (b >= kTwo63) return std::partial_ordering::less;
  if (b < -kTwo63) return std::partial_ordering::greater;
  const double whole = std::trunc(b);
  const auto integer = static_cast<std::int64_t>(whole);
  if (a != integer) return a <=> integer;
  return 0.0 <=> (b - whole);
}

std::partial_ordering compare_numbers(const Value& a, const Value& b) {
  const auto x = a.to_integer();
  const auto y = b.to_integer();
  if (x && y) return *x <=> *y;
  if (x) return compare_numbers(*x, b.as_real());
  if (y) return 0 <=> compare_numbers(*y, a.as_real());
  return a.as_real() <=> b.as_real();
}

bool equal_items(const std::vector<Value>& a, const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!a[i].same(b[i]) && !equal(a[i], b[i])) return false;
  }
  return true;
}

bool equal_entries(const Dict& a, const Dict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a.entries()) {
    const Value* other = b.find(key);
    if (other == nullptr || !(value.same(*other) || equal(value, *other))) return false;
  }
  return true;
}

bool holds(Ordering op, std::partial_ordering order) {
  switch (op) {
    case Ordering::lt:
      return order < 0;
    case Ordering::le:
      return order <= 0;
    case Ordering::gt:
      return order > 0;
    case Ordering::ge:
      return order >= 0;
  }
  return false;
}

bool ordered_items(Ordering op, const std::vector<Value>& a, const std::vector<Value>& b) {
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (!a[i].same(b[i]) && !equal(a[i], b[i])) return ordered(op, a[i], b[i]);
  }
  return holds(op, a.size() <=> b.size());
}

std::size_t hash_real(double v) {
  if (v >= -kTwo63 && v < kTwo63 && std::trunc(v) == v) {
    return std::hash<std::int64_t>{}(static_cast<std::int64_t>(v));
  }
  return std::hash<double>{}(v);
}

std::size_t hash_items(const std::vector<Value>& items) {
  std::size_t hash = items.size();
  for (const Value& item : items) hash = hash * 1'000'003 ^ hash_of(item);
  return hash;
}

}  // namespace

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::string:
      return a.as_text() == b.as_text();
    case Kind::list:
    case Kind::tuple:
      return equal_items(*a.items(), *b.items());
    case Kind::dict:
      return equal_entries(a.as_dict(), b.as_dict());
    case Kind::object:
      return a.as_object().equals(b.as_object());
    default:
      return true;  // None, Undefined
  }
}

bool ordered(Ordering op, const Value& a, const Value& b) {
  if (a.is(Kind::undefined)) fail(ErrorKind::usage, "{}", a.as_undefined().message);
  if (b.is(Kind::undefined)) fail(ErrorKind::usage, "{}", b.as_undefined().message);
  if (a.is_number() && b.is_number()) return holds(op, compare_numbers(a, b));
  if (a.is(Kind::string) && b.is(Kind::string)) return holds(op, a.as_text() <=> b.as_text());
  if (a.items() != nullptr && a.kind() == b.kind()) return ordered_items(op, *a.items(), *b.items());
  fail(ErrorKind::usage, "'{}' and '{}' have no order", type_name(a), type_name(b));
}

std::size_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

std::size_t hash_of(const Value& value) {
  switch (value.kind()) {
    case Kind::boolean:
    case Kind::integer:
      return std::hash<std::int64_t>{}(*value.to_integer());
    case Kind::real:
      return hash_real(value.as_real());
    case Kind::string:
      return hash_of(value.as_text());
    case Kind::tuple:
      return hash_items(value.as_tuple().items);
    case Kind::object:
      return std::hash<const void*>{}(value.object().get());
    case Kind::list:
    case Kind::dict:
      fail(ErrorKind::usage, "unhashable type: '{}'", type_name(value));
    default:
      return static_cast<std::size_t>(value.kind());
  }
}

bool truthy(Runtime& rt, const Value& value) {
  switch (value.kind()) {
    case Kind::unset:
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
      return value.as_boolean();
    case Kind::integer:
      return *value.to_integer() != 0;
    case Kind::real:
      return value.as_real() != 0;
    case Kind::string:
      return !value.as_text().empty();
    case Kind::list:
    case Kind::tuple:
      return !value.items()->empty();
    case Kind::dict:
      return value.as_dict().size() != 0;
    case Kind::object:
      return value.as_object().truthy(rt);
  }
  return false;
}

}  // namespace medlar::jinja
