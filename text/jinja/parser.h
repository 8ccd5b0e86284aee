// A template's text as a Program.
#pragma once

#include <string_view>

#include "text/jinja/ast.h"
#include "text/jinja/parse_limits.h"

namespace medlar::jinja {

// The syntax tree, without scopes. Throws Error(bad_file) naming the line.
Program parse_program(std::string_view source, const ParseLimits& limits);

}  // namespace medlar::jinja
