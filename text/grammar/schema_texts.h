// The JSON texts of numbers and the characters of strings that a shape allows, as automata.
#pragma once

#include <memory>

#include "text/grammar/schema_shape.h"

namespace medlar::grammar {

Dfa integer_texts(const Shape& shape);
Dfa fraction_texts(const Shape& shape);  // with a point, not equal to an integer; at most 15 digits
Dfa number_texts(const Shape& shape);    // integers, and numbers with a point and at most 15 digits
Dfa string_texts(const Shape& shape);

// At most 30 digits, so that a number comes to an end; exponents that a double can hold.
inline constexpr std::string_view kIntegerPattern = "-?(0|[1-9][0-9]{0,29})";
inline constexpr std::string_view kFractionPattern = "-?(0|[1-9][0-9]{0,29})\\.[0-9]*[1-9][0-9]*";
inline constexpr std::string_view kDecimalPattern = "-?(0|[1-9][0-9]{0,29})(\\.[0-9]{1,30})?";
inline constexpr std::string_view kNumberPattern =
    "-?(0|[1-9][0-9]{0,29})(\\.[0-9]{1,30})?([eE][+-]?([0-9]{1,2}|[12][0-9]{2}|30[0-7]))?";

// UTF-8 as characters.
std::u32string characters(std::string_view text);

}  // namespace medlar::grammar
