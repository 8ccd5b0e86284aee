// A text of digits is compared with a bound from left to right: the longer whole part is larger; of two as
// long, the first digit that differs decides.
#include "text/grammar/decimal.h"

#include <algorithm>
#include <charconv>
#include <compare>

#include "base/error.h"

namespace medlar::grammar {
namespace {

constexpr int kMaxExponent = 400;

const std::vector<char32_t>& number_atoms() {
  static const std::vector<char32_t> atoms = {0,   '-', '.', '/', '0', '1', '2', '3',
                                              '4', '5', '6', '7', '8', '9', ':'};
  return atoms;
}

// How far a text has been compared with a bound.
struct Compared {
  bool negative = false, point = false, zero = true;
  std::uint32_t digits =
      0;          // whole digits, or fraction digits after the point; one more than the bound's at most
  int whole = 0;  // of whole parts of equal length: -1, 0, 1
  auto operator<=>(const Compared&) const = default;
};

int sign_of(int a, int b) { return a < b ? -1 : a > b ? 1 : 0; }

}  // namespace

Decimal::Decimal(std::string_view text) {
  negative_ = text.starts_with('-');
  if (negative_) text.remove_prefix(1);
  int exponent = 0;
  if (const std::size_t e = text.find_first_of("eE"); e != text.npos) {
    std::string_view power = text.substr(e + 1);
    if (power.starts_with('+')) power.remove_prefix(1);
    const auto [stop, status] = std::from_chars(power.data(), power.data() + power.size(), exponent);
    if (status != std::errc() || std::abs(exponent) > kMaxExponent)
      throw Error(ErrorKind::limit, fmt::format("the number {} is out of range", text),
                  "use a smaller exponent");
    text = text.substr(0, e);
    spelled_as_integer_ = false;
  }
  const std::size_t point = text.find('.');
  digits_ = text.substr(0, point);
  point_ = static_cast<int>(digits_.size()) + exponent;
  if (point != text.npos) {
    digits_ += text.substr(point + 1);
    spelled_as_integer_ = false;
  }
  const std::size_t first = digits_.find_first_not_of('0');
  if (first == digits_.npos) {
    *this = {};
    return;
  }
  digits_.erase(0, first);
  point_ -= static_cast<int>(first);
  digits_.erase(digits_.find_last_not_of('0') + 1);
}

std::string Decimal::whole() const {
  if (point_ <= 0) return "0";
  std::string result = digits_.substr(0, static_cast<std::size_t>(point_));
  result.resize(static_cast<std::size_t>(point_), '0');
  return result;
}

std::string Decimal::fraction() const {
  if (integer()) return "";
  if (point_ >= 0) return digits_.substr(static_cast<std::size_t>(point_));
  return std::string(static_cast<std::size_t>(-point_), '0') + digits_;
}

std::string Decimal::plain() const {
  const std::string after = fraction();
  return fmt::format("{}{}{}{}", negative_ ? "-" : "", whole(), after.empty() ? "" : ".", after);
}

bool Decimal::safe_as_double() const {
  return spelled_as_integer_ || (digits_.size() <= 15 && point_ <= 15 && point_ > -15);
}

Dfa compared(Relation relation, const Decimal& bound) {
  const std::string whole = bound.whole(), fraction = bound.fraction();
  const auto next = [&](Compared s, char32_t c) {
    if (c == '-') {
      s.negative = true;
    } else if (c == '.') {
      s.point = true;
      // A whole part of another length has decided.
      s.whole = s.digits == whole.size()
                    ? s.whole
                    : sign_of(static_cast<int>(s.digits), static_cast<int>(whole.size()));
      s.digits = 0;
    } else if (c >= '0' && c <= '9') {
      const std::string& other = s.point ? fraction : whole;
      const auto digit = static_cast<char>(c);
      const char against = s.digits < other.size() ? other[s.digits] : '0';
      const bool counts = s.point || s.digits < other.size();
      if (counts && s.whole == 0) s.whole = sign_of(digit, against);
      s.zero = s.zero && digit == '0';
      s.digits = std::min(s.digits + 1, static_cast<std::uint32_t>(other.size()) + 1);
    }
    return s;
  };
  const auto final = [&](const Compared& s) {
    int size = s.whole;
    if (!s.point && s.digits != whole.size())
      size = sign_of(static_cast<int>(s.digits), static_cast<int>(whole.size()));
    const bool more = s.point ? s.digits < fraction.size() : !fraction.empty();
    if (size == 0 && more) size = -1;
    int value = size;
    if (s.negative && bound.negative()) value = -size;
    if (s.negative && !bound.negative()) value = s.zero && bound.zero() ? 0 : -1;
    if (!s.negative && bound.negative()) value = 1;
    switch (relation) {
      case Relation::less:
        return value < 0;
      case Relation::less_equal:
        return value <= 0;
      case Relation::greater_equal:
        return value >= 0;
      case Relation::greater:
        return value > 0;
    }
    return false;
  };
  return Dfa::explore(Compared{}, number_atoms(), next, final);
}

Dfa multiples(std::uint32_t n) {
  return Dfa::explore(
      std::uint64_t{0}, number_atoms(),
      [=](std::uint64_t rest, char32_t c) {
        return c >= '0' && c <= '9' ? (rest * 10 + (c - '0')) % n : c == '-' ? rest : std::uint64_t{n};
      },
      [](std::uint64_t rest) { return rest == 0; });
}

Dfa digits_at_most(std::uint32_t n) {
  using State = std::pair<std::uint32_t, bool>;  // digits, a point
  return Dfa::explore(
      State{0, false}, number_atoms(),
      [=](State s, char32_t c) {
        if (c >= '0' && c <= '9') s.first = std::min(s.first + 1, n + 1);
        if (c == '.') s.second = true;
        return s;
      },
      [=](const State& s) { return !s.second || s.first <= n; });
}

}  // namespace medlar::grammar
