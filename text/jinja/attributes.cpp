// Attribute and item lookup with the precedence Jinja gives each, inside its sandbox.
#include "text/jinja/attributes.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "text/jinja/chars.h"
#include "text/jinja/numbers.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

struct NamedField {
  std::string_view name;
  Field field;
};

constexpr NamedField kFields[] = {
    {"arguments", Field::arguments},
    {"caller", Field::caller},
    {"catch_kwargs", Field::catch_kwargs},
    {"catch_varargs", Field::catch_varargs},
    {"changed", Field::changed},
    {"current", Field::current},
    {"cycle", Field::cycle},
    {"depth", Field::depth},
    {"depth0", Field::depth0},
    {"first", Field::first},
    {"grouper", Field::grouper},
    {"index", Field::index},
    {"index0", Field::index0},
    {"last", Field::last},
    {"length", Field::length},
    {"list", Field::list},
    {"name", Field::name},
    {"next", Field::next},
    {"nextitem", Field::nextitem},
    {"previtem", Field::previtem},
    {"reset", Field::reset},
    {"revindex", Field::revindex},
    {"revindex0", Field::revindex0},
    {"start", Field::start},
    {"step", Field::step},
    {"stop", Field::stop},
};

Field field_named(std::string_view name) {
  const auto* found = std::lower_bound(std::begin(kFields), std::end(kFields), name,
                                       [](const NamedField& f, std::string_view n) { return f.name < n; });
  return found != std::end(kFields) && found->name == name ? found->field : Field::none;
}

// A method together with what it is called on.
class BoundMethod final : public Object {
 public:
  BoundMethod(Value self, const Method& method) : self_(std::move(self)), method_(method) {}
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  Value call(Runtime& rt, Arguments& arguments) override { return method_.call(rt, self_, arguments); }
  bool equals(const Object& other) const override {
    const auto* method = dynamic_cast<const BoundMethod*>(&other);
    return method != nullptr && &method->method_ == &method_ && method->self_.same(self_);
  }
  int depth() const override { return extent_of(self_).depth + 1; }

 private:
  Value self_;
  const Method& method_;
};

std::optional<std::size_t> position(const Value& key, std::size_t length) {
  const auto index = key.to_integer();
  if (!index) return std::nullopt;
  const auto size = static_cast<std::int64_t>(length);
  if (*index >= size || *index < -size) return std::nullopt;
  return static_cast<std::size_t>(*index < 0 ? *index + size : *index);
}

bool hashable(const Value& key) {
  if (key.is(Kind::list) || key.is(Kind::dict)) return false;
  if (!key.is(Kind::tuple)) return true;
  return std::all_of(key.as_tuple().items.begin(), key.as_tuple().items.end(), hashable);
}

// Unset when there is no such item.
Value find_item(Runtime& rt, const Value& value, const Value& key) {
  switch (value.kind()) {
    case Kind::undefined:
      fail_undefined(value);
    case Kind::string: {
      const Str& s = value.as_str();
      const auto at = position(key, s.length);
      if (!at) return {};
      if (!s.ascii()) rt.budget().spend_bytes(s.text.size());
      return rt.text(std::string(character_at(s, *at)), s.markup);
    }
    case Kind::list:
    case Kind::tuple: {
      const auto at = position(key, value.items()->size());
      return at ? (*value.items())[*at] : Value();
    }
    case Kind::dict: {
      const Value* found = hashable(key) ? value.as_dict().find(key) : nullptr;
      return found != nullptr ? *found : Value();
    }
    case Kind::object:
      return value.as_object().item(rt, key);
    default:
      return {};
  }
}

std::optional<std::int64_t> slice_bound(const Value& bound) {
  if (bound.is(Kind::unset) || bound.is(Kind::none)) return std::nullopt;
  return integer_argument(bound, "a slice bound");
}

std::string owner_name(const Value& value) {
  if (value.is(Kind::none)) return "None";
  return std::string(type_name(value)) + " object";
}

}  // namespace

Member::Member(std::string attribute) : name(std::move(attribute)) {
  dunder = name.starts_with("__");
  field = field_named(name);
  const auto slot = [this](Kind kind) -> const Method*& { return methods[static_cast<std::size_t>(kind)]; };
  slot(Kind::string) = find_text_method(name);
  slot(Kind::list) = find_list_method(name);
  slot(Kind::tuple) = find_tuple_method(name);
  slot(Kind::dict) = find_dict_method(name);
  slot(Kind::integer) = find_integer_method(name);
  slot(Kind::real) = find_real_method(name);
}

Value missing_member(const Value& value, const Value& key) {
  const std::string owner = owner_name(value);
  if (key.is(Kind::string)) {
    return Value::undefined(fmt::format("'{}' has no attribute '{}'", owner, key.as_text()));
  }
  if (const auto index = key.to_integer()) {
    return Value::undefined(fmt::format("{} has no element {}", owner, *index));
  }
  return Value::undefined(fmt::format("{} has no such element", owner));
}

Value find_attribute(Runtime& rt, const Value& value, const Member& member) {
  if (value.is(Kind::undefined)) fail_undefined(value);
  if (const Method* method = member.method_of(value)) {
    switch (method->use) {
      case Method::Use::method:
        return Value(std::shared_ptr<Object>(rt.object<BoundMethod>(value, *method)));
      case Method::Use::property: {
        Arguments none;
        return method->call(rt, value, none);
      }
      case Method::Use::forbidden:
        return Value::undefined(
            fmt::format("access to attribute '{}' of '{}' object is unsafe", member.name, type_name(value)));
    }
  }
  if (value.is(Kind::object)) return value.as_object().attribute(rt, member);
  if (value.is(Kind::tuple) && value.as_tuple().group) {
    if (member.field == Field::grouper) return value.as_tuple().items[0];
    if (member.field == Field::list) return value.as_tuple().items[1];
  }
  return {};
}

Value get_attribute(Runtime& rt, const Value& value, const Member& member) {
  if (member.dunder) {
    if (value.is(Kind::undefined)) fail_undefined(value);
    return Value::undefined(fmt::format("access to attribute '{}' is unsafe", member.name));
  }
  Value found = find_attribute(rt, value, member);
  if (!found.is(Kind::unset)) return found;
  if (value.is(Kind::dict)) {
    if (const Value* item = value.as_dict().find(member.name)) return *item;
  } else if (value.is(Kind::object)) {
    found = value.as_object().item(rt, rt.text(member.name));
    if (!found.is(Kind::unset)) return found;
  }
  return Value::undefined(fmt::format("'{}' has no attribute '{}'", owner_name(value), member.name));
}

Value get_item(Runtime& rt, const Value& value, const Value& key, const Member* member) {
  Value found = find_item(rt, value, key);
  if (found.is(Kind::unset) && key.is(Kind::string)) {
    if (member != nullptr) {
      if (!member->dunder) found = find_attribute(rt, value, *member);
    } else {
      const Member named(key.as_text());
      if (!named.dunder) found = find_attribute(rt, value, named);
    }
  }
  return found.is(Kind::unset) ? missing_member(value, key) : found;
}

Value get_slice(Runtime& rt, const Value& value, const Value& start, const Value& stop, const Value& step) {
  if (value.is(Kind::undefined)) fail_undefined(value);
  const bool text = value.is(Kind::string);
  if (!text && value.items() == nullptr) {
    Value sliced;
    if (value.is(Kind::object))
      sliced = value.as_object().slice(rt, slice_bound(start), slice_bound(stop), slice_bound(step));
    if (!sliced.is(Kind::unset)) return sliced;
    fail(ErrorKind::usage, "'{}' object cannot be sliced", type_name(value));
  }
  const std::size_t length = text ? value.as_str().length : value.items()->size();
  const Slice slice = resolve_slice(slice_bound(start), slice_bound(stop), slice_bound(step), length);
  if (text) {
    TextBuilder out(rt.budget());
    append_slice(out, value.as_str(), slice);
    return rt.text(std::move(out), value.as_str().markup);
  }
  ItemsBuilder items(rt);
  for (std::int64_t i = 0; i < slice.count; ++i) {
    items.push((*value.items())[static_cast<std::size_t>(slice.start + i * slice.step)]);
  }
  return value.is(Kind::list) ? rt.list(items.take()) : rt.tuple(items.take());
}

AttributePath::AttributePath(const Value& attribute) {
  if (attribute.is(Kind::unset) || attribute.is(Kind::none)) return;
  if (!attribute.is(Kind::string)) {
    steps_.push_back(attribute);
    return;
  }
  split_on(attribute.as_text(), ".", kNoLimit, [this](std::string_view part) {
    const bool digits =
        !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    steps_.push_back(digits ? Value::integer(*parse_integer(part, 10)) : Value::string(std::string(part)));
  });
}

Value AttributePath::of(Runtime& rt, const Value& item, const Value& fallback) const {
  Value value = item;
  for (const Value& step : steps_) {
    value = get_item(rt, value, step);
    const bool replaced = value.is(Kind::undefined) && !fallback.is(Kind::unset) && !fallback.is(Kind::none);
    if (replaced) value = fallback;
  }
  return value;
}

}  // namespace medlar::jinja
