// Decimal numbers as JSON spells them, and the texts of numbers within bounds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/grammar/dfa.h"

namespace medlar::grammar {

// sign x 0.digits x 10^point, exactly. Zero has no digits.
class Decimal {
 public:
  Decimal() = default;
  // Any JSON number. Throws Error(limit) when its exponent is beyond +-400.
  explicit Decimal(std::string_view text);

  bool operator==(const Decimal&) const = default;
  bool negative() const { return negative_; }
  bool zero() const { return digits_.empty(); }
  bool integer() const { return static_cast<int>(digits_.size()) <= point_; }
  std::string whole() const;     // digits before the point; "0" if there are none
  std::string fraction() const;  // digits after it, without zeros at the end
  std::string plain() const;     // without an exponent
  // Whether the double nearest to it compares with other numbers as it does itself: integers, and fractions
  // of at most 15 digits that are small enough. An integer spelled with a point or exponent is read as a
  // double by others too.
  bool safe_as_double() const;

 private:
  bool negative_ = false;
  bool spelled_as_integer_ = true;
  std::string digits_;  // neither begins nor ends with 0
  int point_ = 0;
};

enum class Relation { less, less_equal, greater_equal, greater };

// Texts of numbers, without exponents, whose values stand in this relation to `bound`. What is no number's
// text may be among them.
Dfa compared(Relation relation, const Decimal& bound);
// Texts of integers that are multiples of n > 0.
Dfa multiples(std::uint32_t n);
// Texts with a point that have at most n digits, and those without one.
Dfa digits_at_most(std::uint32_t n);

}  // namespace medlar::grammar
