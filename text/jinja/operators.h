// Python's operators on values.
#pragma once

#include "text/jinja/runtime.h"

namespace medlar::jinja {

enum class BinaryOp { add, subtract, multiply, divide, floor_divide, modulo, power };

// All throw Error(usage) for types that Python would refuse.
Value binary(Runtime& rt, BinaryOp op, const Value& a, const Value& b);
Value negated(const Value& v);
Value plus(const Value& v);
// needle in haystack
bool contains(Runtime& rt, const Value& needle, const Value& haystack);

// equal() and ordered(), paid for by the size of what they walk over.
bool equal(Runtime& rt, const Value& a, const Value& b);

// format % arguments, for a string.
Value percent_format(Runtime& rt, const Str& format, const Value& arguments);
// format.format(*positional, **named)
Value brace_format(Runtime& rt, const Str& format, const Arguments& arguments);

// HTML-escapes a value's text, unless it is marked up already. Always marked up.
Value escaped(Runtime& rt, const Value& value);

}  // namespace medlar::jinja
