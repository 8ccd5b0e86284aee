// The methods of list, tuple, dict, int and float. Those that would change a value are there to be refused.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "text/jinja/member.h"
#include "text/jinja/objects.h"
#include "text/jinja/operators.h"

namespace medlar::jinja {
namespace {

template <std::size_t N>
std::array<Value, N> positional(Arguments& args, std::string_view method, std::size_t required) {
  if (!args.named.empty()) fail(ErrorKind::usage, "{}() takes no keyword arguments", method);
  return args.bind<N>(method, std::array<std::string_view, N>{}, required);
}

Value copy(Runtime&, const Value& self, Arguments& args) {
  args.expect_none("copy");
  return self;  // values never change
}

Value count(Runtime& rt, const Value& self, Arguments& args) {
  const auto [value] = positional<1>(args, "count", 1);
  std::int64_t found = 0;
  for (const Value& item : *self.items()) found += item.same(value) || equal(rt, item, value) ? 1 : 0;
  return Value::integer(found);
}

Value index(Runtime& rt, const Value& self, Arguments& args) {
  const auto [value, start, stop] = positional<3>(args, "index", 1);
  const auto& items = *self.items();
  const auto size = static_cast<std::int64_t>(items.size());
  const auto bound = [size](const Value& v, std::int64_t otherwise) {
    if (v.is(Kind::unset)) return otherwise;
    const std::int64_t at = integer_argument(v, "a position");
    return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size);
  };
  const std::int64_t last = bound(stop, size);
  for (std::int64_t i = bound(start, 0); i < last; ++i) {
    const Value& item = items[static_cast<std::size_t>(i)];
    if (item.same(value) || equal(rt, item, value)) return Value::integer(i);
  }
  fail(ErrorKind::usage, "the value is not in the {}", type_name(self));
}

Value get(Runtime&, const Value& self, Arguments& args) {
  const auto [key, otherwise] = positional<2>(args, "get", 1);
  if (const Value* found = self.as_dict().find(key)) return *found;
  return otherwise.is(Kind::unset) ? Value::none() : otherwise;
}

template <DictView::Part Part>
Value view(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("dict method");
  return Value(std::shared_ptr<Object>(rt.object<DictView>(self, Part)));
}

Value fromkeys(Runtime& rt, const Value&, Arguments& args) {
  const auto [keys, value] = positional<2>(args, "fromkeys", 1);
  Dict made;
  rt.each(keys, [&, &filler = value](const Value& key) {
    made.set(key, filler.is(Kind::unset) ? Value::none() : filler);
    rt.budget().require(made.size() * sizeof(Dict::Entry));
    return true;
  });
  return rt.dict(std::move(made));
}

Value itself(Runtime&, const Value& self, Arguments& args) {
  args.expect_none("number method");
  return self.is(Kind::boolean) ? Value::integer(*self.to_integer()) : self;
}
Value integer_zero(Runtime&, const Value&, Arguments&) { return Value::integer(0); }
Value integer_one(Runtime&, const Value&, Arguments&) { return Value::integer(1); }
Value real_zero(Runtime&, const Value&, Arguments&) { return Value::real(0); }

Value bit_length(Runtime&, const Value& self, Arguments& args) {
  args.expect_none("bit_length");
  const std::int64_t value = *self.to_integer();
  auto magnitude = static_cast<std::uint64_t>(value);
  if (value < 0) magnitude = 0 - magnitude;
  std::int64_t bits = 0;
  for (; magnitude != 0; magnitude >>= 1) ++bits;
  return Value::integer(bits);
}

Value is_whole(Runtime&, const Value& self, Arguments& args) {
  args.expect_none("is_integer");
  return Value::boolean(std::isfinite(self.as_real()) && std::trunc(self.as_real()) == self.as_real());
}

using Use = Method::Use;

constexpr Method kList[] = {
    {"append", nullptr, Use::forbidden},
    {"clear", nullptr, Use::forbidden},
    {"copy", copy},
    {"count", count},
    {"extend", nullptr, Use::forbidden},
    {"index", index},
    {"insert", nullptr, Use::forbidden},
    {"pop", nullptr, Use::forbidden},
    {"remove", nullptr, Use::forbidden},
    {"reverse", nullptr, Use::forbidden},
    {"sort", nullptr, Use::forbidden},
};

constexpr Method kTuple[] = {{"count", count}, {"index", index}};

constexpr Method kDict[] = {
    {"clear", nullptr, Use::forbidden},
    {"copy", copy},
    {"fromkeys", fromkeys},
    {"get", get},
    {"items", view<DictView::Part::items>},
    {"keys", view<DictView::Part::keys>},
    {"pop", nullptr, Use::forbidden},
    {"popitem", nullptr, Use::forbidden},
    {"setdefault", nullptr, Use::forbidden},
    {"update", nullptr, Use::forbidden},
    {"values", view<DictView::Part::values>},
};

constexpr Method kInteger[] = {
    {"bit_length", bit_length},
    {"conjugate", itself},
    {"denominator", integer_one, Use::property},
    {"imag", integer_zero, Use::property},
    {"numerator", itself, Use::property},
    {"real", itself, Use::property},
};

constexpr Method kReal[] = {
    {"conjugate", itself},
    {"imag", real_zero, Use::property},
    {"is_integer", is_whole},
    {"real", itself, Use::property},
};

template <std::size_t N>
const Method* find(const Method (&table)[N], std::string_view name) {
  const auto* found =
      std::find_if(std::begin(table), std::end(table), [&](const Method& m) { return m.name == name; });
  return found != std::end(table) ? found : nullptr;
}

}  // namespace

const Method* find_list_method(std::string_view name) { return find(kList, name); }
const Method* find_tuple_method(std::string_view name) { return find(kTuple, name); }
const Method* find_dict_method(std::string_view name) { return find(kDict, name); }
const Method* find_integer_method(std::string_view name) { return find(kInteger, name); }
const Method* find_real_method(std::string_view name) { return find(kReal, name); }

}  // namespace medlar::jinja
