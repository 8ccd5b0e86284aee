// The filters and tests by name.
#pragma once

#include <span>
#include <string_view>

#include "text/jinja/object.h"

namespace medlar::jinja {

struct NamedBuiltin {
  std::string_view name;
  Builtin function;
};

// Null when there is none of that name. A test returns a boolean.
Builtin find_filter(std::string_view name);
Builtin find_test(std::string_view name);

std::span<const NamedBuiltin> text_filters();
std::span<const NamedBuiltin> value_filters();
std::span<const NamedBuiltin> sequence_filters();
std::span<const NamedBuiltin> select_filters();
std::span<const NamedBuiltin> tests();

}  // namespace medlar::jinja
