// Finding filters and tests by name, and the tests themselves.
#include "text/jinja/builtins.h"

#include <algorithm>
#include <array>

#include "text/jinja/chars.h"
#include "text/jinja/compare.h"
#include "text/jinja/operators.h"
#include "text/jinja/runtime.h"

namespace medlar::jinja {
namespace {

Builtin find(std::span<const NamedBuiltin> table, std::string_view name) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const NamedBuiltin& b) { return b.name == name; });
  return found == table.end() ? nullptr : found->function;
}

// A test of the value alone.
template <bool (*Holds)(Runtime&, const Value&)>
Value simple(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("test");
  return Value::boolean(Holds(rt, self));
}

template <Kind K>
bool is_kind(Runtime&, const Value& v) {
  return v.is(K);
}
template <bool B>
bool is_boolean(Runtime&, const Value& v) {
  return v.is(Kind::boolean) && v.as_boolean() == B;
}
bool is_defined(Runtime&, const Value& v) { return !v.is(Kind::undefined); }
bool is_number(Runtime&, const Value& v) { return v.is_number(); }
bool is_escaped(Runtime&, const Value& v) { return v.is(Kind::string) && v.as_str().markup; }
bool is_filter(Runtime&, const Value& v) { return v.is(Kind::string) && find_filter(v.as_text()) != nullptr; }
bool is_test(Runtime&, const Value& v) { return v.is(Kind::string) && find_test(v.as_text()) != nullptr; }

bool is_callable(Runtime&, const Value& v) {
  return v.is(Kind::undefined) || (v.is(Kind::object) && v.as_object().callable());
}

bool is_iterable(Runtime& rt, const Value& v) {
  switch (v.kind()) {
    case Kind::none:
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
      return false;
    case Kind::object:
      return v.as_object().iterate(rt) != nullptr;
    default:
      return true;
  }
}

// What has a length and can be subscripted.
bool is_sequence(Runtime&, const Value& v) {
  switch (v.kind()) {
    case Kind::none:
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
      return false;
    case Kind::object:
      return v.as_object().subscriptable();
    default:
      return true;
  }
}

bool remainder_is(Runtime& rt, const Value& v, std::int64_t divisor, std::int64_t rest) {
  return equal(binary(rt, BinaryOp::modulo, v, Value::integer(divisor)), Value::integer(rest));
}
bool is_odd(Runtime& rt, const Value& v) { return remainder_is(rt, v, 2, 1); }
bool is_even(Runtime& rt, const Value& v) { return remainder_is(rt, v, 2, 0); }

bool is_lower_text(Runtime& rt, const Value& v) { return all_lower(to_text(rt, v)); }
bool is_upper_text(Runtime& rt, const Value& v) { return all_upper(to_text(rt, v)); }

template <Ordering Op>
Value is_ordered(Runtime&, const Value& self, Arguments& args) {
  const auto [other] = args.bind<1>("test", {"b"}, 1);
  return Value::boolean(ordered(Op, self, other));
}
Value is_equal(Runtime& rt, const Value& self, Arguments& args) {
  const auto [other] = args.bind<1>("test", {"b"}, 1);
  return Value::boolean(equal(rt, self, other));
}
Value is_unequal(Runtime& rt, const Value& self, Arguments& args) {
  const auto [other] = args.bind<1>("test", {"b"}, 1);
  return Value::boolean(!equal(rt, self, other));
}
Value is_same(Runtime&, const Value& self, Arguments& args) {
  const auto [other] = args.bind<1>("sameas", {"other"}, 1);
  return Value::boolean(self.same(other));
}
Value is_in(Runtime& rt, const Value& self, Arguments& args) {
  const auto [seq] = args.bind<1>("in", {"seq"}, 1);
  return Value::boolean(contains(rt, self, seq));
}
Value is_divisible(Runtime& rt, const Value& self, Arguments& args) {
  const auto [num] = args.bind<1>("divisibleby", {"num"}, 1);
  return Value::boolean(equal(binary(rt, BinaryOp::modulo, self, num), Value::integer(0)));
}

constexpr NamedBuiltin kTests[] = {
    {"!=", is_unequal},
    {"<", is_ordered<Ordering::lt>},
    {"<=", is_ordered<Ordering::le>},
    {"==", is_equal},
    {">", is_ordered<Ordering::gt>},
    {">=", is_ordered<Ordering::ge>},
    {"boolean", simple<is_kind<Kind::boolean>>},
    {"callable", simple<is_callable>},
    {"defined", simple<is_defined>},
    {"divisibleby", is_divisible},
    {"eq", is_equal},
    {"equalto", is_equal},
    {"escaped", simple<is_escaped>},
    {"even", simple<is_even>},
    {"false", simple<is_boolean<false>>},
    {"filter", simple<is_filter>},
    {"float", simple<is_kind<Kind::real>>},
    {"ge", is_ordered<Ordering::ge>},
    {"greaterthan", is_ordered<Ordering::gt>},
    {"gt", is_ordered<Ordering::gt>},
    {"in", is_in},
    {"integer", simple<is_kind<Kind::integer>>},
    {"iterable", simple<is_iterable>},
    {"le", is_ordered<Ordering::le>},
    {"lessthan", is_ordered<Ordering::lt>},
    {"lower", simple<is_lower_text>},
    {"lt", is_ordered<Ordering::lt>},
    {"mapping", simple<is_kind<Kind::dict>>},
    {"ne", is_unequal},
    {"none", simple<is_kind<Kind::none>>},
    {"number", simple<is_number>},
    {"odd", simple<is_odd>},
    {"sameas", is_same},
    {"sequence", simple<is_sequence>},
    {"string", simple<is_kind<Kind::string>>},
    {"test", simple<is_test>},
    {"true", simple<is_boolean<true>>},
    {"undefined", simple<is_kind<Kind::undefined>>},
    {"upper", simple<is_upper_text>},
};

}  // namespace

std::span<const NamedBuiltin> tests() { return kTests; }

Builtin find_test(std::string_view name) { return find(tests(), name); }

Builtin find_filter(std::string_view name) {
  for (const auto table : {text_filters(), value_filters(), sequence_filters(), select_filters()}) {
    if (const Builtin found = find(table, name)) return found;
  }
  return nullptr;
}

}  // namespace medlar::jinja
