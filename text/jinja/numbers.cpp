// Numbers. Conversions from text go through streams in the classic locale: the program's locale never shows.
#include "text/jinja/numbers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>

#include <fmt/format.h>

#include "base/error.h"
#include "text/jinja/chars.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

[[noreturn]] void overflow() { fail(ErrorKind::limit, "an integer does not fit 64 bits"); }

// Digits of any script as ASCII, and single underscores between digits dropped; nullopt for misplaced ones.
std::optional<std::string> plain_digits(std::string_view text) {
  std::string out;
  bool after_digit = false;
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::decode_utf8(text, at);
    at += c.length;
    if (c.value == '_') {
      const bool before_digit = at < text.size() && is_alnum(text::decode_utf8(text, at).value);
      if (!after_digit || !before_digit) return std::nullopt;
      after_digit = false;
      continue;
    }
    const int digit = decimal_value(c.value);
    after_digit = digit >= 0 || (c.value < 0x80 && is_alpha(c.value));
    if (digit >= 0) {
      out.push_back(static_cast<char>('0' + digit));
    } else {
      text::append_utf8(out, c.value);
    }
  }
  return out;
}

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  return at;
}

// digits [. digits] [e [sign] digits], with a digit before or after the point.
bool is_decimal_number(std::string_view text) {
  const std::size_t whole = skip_digits(text, 0);
  std::size_t at = whole;
  std::size_t digits = whole;
  if (at < text.size() && text[at] == '.') {
    const std::size_t end = skip_digits(text, at + 1);
    digits += end - at - 1;
    at = end;
  }
  if (digits == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const std::size_t end = skip_digits(text, at);
    if (end == at) return false;
    at = end;
  }
  return at == text.size();
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return std::numeric_limits<int>::max();
}

// Takes "0x" and the like where the base allows it; base 0 is decided here.
int take_prefix(std::string_view& digits, int base) {
  int named = 10;
  if (digits.size() > 1 && digits[0] == '0') {
    const char c = static_cast<char>(digits[1] | 0x20);
    named = c == 'x' ? 16 : (c == 'o' ? 8 : (c == 'b' ? 2 : 10));
  }
  if (named != 10 && (base == 0 || base == named)) {
    digits.remove_prefix(2);
    if (!digits.empty() && digits[0] == '_') digits.remove_prefix(1);
    return named;
  }
  return base == 0 ? 10 : base;
}

double power_of_ten(std::int64_t exponent) { return std::pow(10.0, static_cast<double>(exponent)); }

}  // namespace

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string out = fmt::format("{}", value);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

std::optional<double> parse_real(std::string_view text) {
  const auto plain = plain_digits(strip(text, std::nullopt, Side::both));
  if (!plain) return std::nullopt;
  std::string_view digits = *plain;
  const bool negative = !digits.empty() && digits[0] == '-';
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.remove_prefix(1);
  const std::string word = to_lower(digits);
  const double sign = negative ? -1.0 : 1.0;
  if (word == "inf" || word == "infinity") return sign * std::numeric_limits<double>::infinity();
  if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (!is_decimal_number(digits)) return std::nullopt;
  std::istringstream stream{std::string(digits)};
  stream.imbue(std::locale::classic());
  double value = 0;
  stream >> value;  // out of range: the stream gives the largest finite number
  if (stream.fail() && value == std::numeric_limits<double>::max()) {
    value = std::numeric_limits<double>::infinity();
  }
  return sign * value;
}

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
  std::string_view rest = strip(text, std::nullopt, Side::both);
  const bool negative = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  const bool any_base = base == 0;
  base = take_prefix(rest, base);
  const auto digits = plain_digits(rest);
  if (!digits || digits->empty()) return std::nullopt;
  // Base 0 reads literals, and those have no leading zeros.
  if (any_base && base == 10 && digits->front() == '0' &&
      digits->find_first_not_of('0') != std::string::npos) {
    return std::nullopt;
  }
  std::int64_t value = 0;
  for (char c : *digits) {
    if (digit_of(c) >= base) return std::nullopt;
    value = subtract(multiply(value, base), digit_of(c));
  }
  return negative ? value : subtract(0, value);
}

std::string real_digits(double value, char style, int precision, bool alternate) {
  switch (style) {
    case 'e':
      return alternate ? fmt::format("{:#.{}e}", value, precision) : fmt::format("{:.{}e}", value, precision);
    case 'f':
      return alternate ? fmt::format("{:#.{}f}", value, precision) : fmt::format("{:.{}f}", value, precision);
    default:
      return alternate ? fmt::format("{:#.{}g}", value, precision) : fmt::format("{:.{}g}", value, precision);
  }
}

double round_real(double value, std::int64_t digits) {
  if (!std::isfinite(value)) return value;
  constexpr std::int64_t kAllDigits = 323;  // more than any double has after the point
  constexpr std::int64_t kTooLarge = -309;  // every double rounds to 0
  if (digits > kAllDigits) return value;
  if (digits < kTooLarge) return std::copysign(0.0, value);
  if (digits >= 0) {
    const auto text = real_digits(std::fabs(value), 'f', static_cast<int>(digits), false);
    return std::copysign(*parse_real(text), value);
  }
  const double scale = power_of_ten(-digits);
  double rounded = std::nearbyint(std::fabs(value) / scale);
  return std::copysign(rounded * scale, value);
}

std::int64_t round_integer(std::int64_t value, std::int64_t digits) {
  if (digits >= 0) return value;
  if (digits < -18) return 0;
  const std::int64_t unit = power(10, -digits);
  const std::int64_t below = floor_divide(value, unit);
  const std::int64_t rest = modulo(value, unit);
  const bool up = rest > unit / 2 || (rest == unit / 2 && below % 2 != 0);
  return multiply(below + (up ? 1 : 0), unit);
}

std::int64_t truncate(double value) {
  if (std::isnan(value)) fail(ErrorKind::usage, "cannot convert float NaN to integer");
  if (std::isinf(value)) fail(ErrorKind::usage, "cannot convert float infinity to integer");
  if (value >= 9223372036854775808.0 || value < -9223372036854775808.0) overflow();
  return static_cast<std::int64_t>(value);
}

std::int64_t add(std::int64_t a, std::int64_t b) {
  if (b > 0 ? a > kMax - b : a < kMin - b) overflow();
  return a + b;
}

std::int64_t subtract(std::int64_t a, std::int64_t b) {
  if (b > 0 ? a < kMin + b : a > kMax + b) overflow();
  return a - b;
}

std::int64_t multiply(std::int64_t a, std::int64_t b) {
  const bool too_large =
      a > 0 ? (b > 0 ? a > kMax / b : b < kMin / a) : (b > 0 ? a < kMin / b : (b != 0 && a < kMax / b));
  if (too_large) overflow();
  return a * b;
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == -1) return subtract(0, a);
  const std::int64_t quotient = a / b;
  return a % b != 0 && ((a < 0) != (b < 0)) ? quotient - 1 : quotient;
}

std::int64_t modulo(std::int64_t a, std::int64_t b) {
  if (b == -1) return 0;
  const std::int64_t rest = a % b;
  return rest != 0 && ((rest < 0) != (b < 0)) ? rest + b : rest;
}

std::int64_t power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  while (exponent > 0) {
    if (exponent & 1) result = multiply(result, base);
    exponent >>= 1;
    if (exponent > 0) base = multiply(base, base);
  }
  return result;
}

double modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  if ((rest < 0) != (b < 0)) rest += b;
  return rest;
}

double floor_divide(double a, double b) {
  const double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0 && ((rest < 0) != (b < 0))) quotient -= 1.0;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

}  // namespace medlar::jinja
