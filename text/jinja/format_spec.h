// Numbers and strings laid out by width, precision and sign: what both of Python's format languages share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/runtime.h"

namespace medlar::jinja {

// [[fill]align][sign][#][0][width][grouping][.precision][type] of str.format; % formatting fills in the same
// fields.
struct FormatSpec {
  std::string fill = " ";  // one character
  char align = 0;          // '<', '>', '^', '=' (after the sign), 'z' ('=' for numbers), 0 for the type's own
  char sign = '-';         // '+', '-' or ' '
  bool alternate = false;
  std::int64_t width = 0;
  char grouping = 0;  // ',' or '_' between thousands
  std::optional<int> precision;
  char type = 0;
};

// Throws Error(usage) for what is not a format specification.
FormatSpec parse_format_spec(std::string_view text);

// A number's parts: sign and prefix, digits before the point, the rest.
struct NumberText {
  std::string lead;
  std::string whole;
  std::string rest;
};
// type: one of b c d o x X; `minimum` digits at least.
NumberText integer_parts(std::int64_t value, const FormatSpec& spec, std::size_t minimum = 0);
// type: one of e E f F g G %; 0 is repr() or, with a precision, g with at least one digit after the point.
NumberText real_parts(double value, const FormatSpec& spec);

void append_number(TextBuilder& out, const NumberText& number, const FormatSpec& spec);
// Cut to the precision, filled to the width.
void append_aligned(TextBuilder& out, std::string_view text, const FormatSpec& spec, char default_align);

// format(value, spec): throws Error(usage) where the type has no such format.
void append_formatted(Runtime& rt, TextBuilder& out, const Value& value, std::string_view spec);

// Digits at `at`, moved past them. Throws Error(limit) beyond what any text could need.
std::optional<std::int64_t> take_number(std::string_view text, std::size_t& at);

}  // namespace medlar::jinja
