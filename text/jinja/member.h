// What follows a dot: an attribute's name with all it can mean looked up once, when the template is parsed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "text/jinja/object.h"

namespace medlar::jinja {

// Attributes of objects (loops, macros, ranges, groups, ...) by number.
enum class Field : std::uint8_t {
  none,
  arguments,
  caller,
  catch_kwargs,
  catch_varargs,
  changed,
  current,
  cycle,
  depth,
  depth0,
  first,
  grouper,
  index,
  index0,
  last,
  length,
  list,
  name,
  next,
  nextitem,
  previtem,
  reset,
  revindex,
  revindex0,
  start,
  step,
  stop,
};

// A method of a built-in type. `property` is called as soon as it is read; `forbidden` would change the
// value, which templates may not: reading it gives an undefined value.
struct Method {
  enum class Use : std::uint8_t { method, property, forbidden };
  std::string_view name;
  Builtin call = nullptr;
  Use use = Use::method;
};

struct Member {
  explicit Member(std::string attribute);

  const Method* method_of(const Value& value) const {
    return methods[static_cast<std::size_t>(value.is(Kind::boolean) ? Kind::integer : value.kind())];
  }

  std::string name;
  Field field = Field::none;
  bool dunder = false;                      // reaches into Python itself: always undefined
  std::array<const Method*, 11> methods{};  // by Kind
};

// Each table sorted by name; null when there is no such method.
const Method* find_text_method(std::string_view name);
const Method* find_list_method(std::string_view name);
const Method* find_tuple_method(std::string_view name);
const Method* find_dict_method(std::string_view name);
const Method* find_integer_method(std::string_view name);
const Method* find_real_method(std::string_view name);

}  // namespace medlar::jinja
