// How large a template may be.
#pragma once

#include <cstddef>

namespace medlar::jinja {

struct ParseLimits {
  std::size_t source_bytes = 2u << 20;
  int depth = 250;  // nested statements and brackets, operators in a chain
};

}  // namespace medlar::jinja
