// Laying out numbers and strings.
#include "text/jinja/format_spec.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "text/jinja/chars.h"
#include "text/jinja/numbers.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

constexpr int kMaxPrecision = 100'000;

[[noreturn]] void unknown_format(char type, const Value& value) {
  fail(ErrorKind::usage, "format code '{}' does not fit a value of type '{}'", type, type_name(value));
}

// "1234567" with a separator between groups of `size` digits; zeros in front up to `width` characters.
std::string grouped(std::string digits, char separator, std::size_t size, std::size_t width) {
  while (digits.size() + (digits.size() - 1) / size < width) digits.insert(digits.begin(), '0');
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % size == 0) out.push_back(separator);
    out.push_back(digits[i]);
  }
  return out;
}

std::string integer_digits(std::uint64_t magnitude, char type) {
  switch (type) {
    case 'b':
      return fmt::format("{:b}", magnitude);
    case 'o':
      return fmt::format("{:o}", magnitude);
    case 'x':
      return fmt::format("{:x}", magnitude);
    case 'X':
      return fmt::format("{:X}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

std::string sign_text(bool negative, char mode) {
  if (negative) return "-";
  return mode == '-' ? "" : std::string(1, mode);
}

void split_at_point(std::string text, NumberText& number) {
  const std::size_t end = text.find_first_not_of("0123456789");
  number.whole = text.substr(0, end);
  number.rest = end == std::string::npos ? "" : text.substr(end);
}

// Digits with the point of repr(): the shortest form, or at most `precision` significant digits.
std::string general_digits(double magnitude, std::optional<int> precision, bool alternate) {
  if (!precision) return real_text(magnitude);
  std::string text = real_digits(magnitude, 'g', std::max(1, *precision), alternate);
  // Where all digits stand before the point, a "1e+03" would be shorter than "1000.0"; Python picks that.
  if (text.find_first_of(".e") == std::string::npos) {
    if (static_cast<int>(text.size()) >= std::max(1, *precision)) {
      text = real_digits(magnitude, 'e', std::max(1, *precision) - 1, alternate);
      const std::size_t e = text.find('e');
      std::string mantissa = text.substr(0, e);
      if (mantissa.find('.') != std::string::npos && !alternate) {
        mantissa.erase(mantissa.find_last_not_of('0') + 1);
        if (mantissa.back() == '.') mantissa.pop_back();
      }
      return mantissa + text.substr(e);
    }
    text += ".0";
  }
  return text;
}

void append_integer(TextBuilder& out, const Value& value, FormatSpec spec) {
  if (spec.type == 0 || spec.type == 'n') spec.type = 'd';
  if (spec.precision) fail(ErrorKind::usage, "a precision does not fit an integer format");
  append_number(out, integer_parts(*value.to_integer(), spec), spec);
}

bool is_one_of(char c, std::string_view set) { return c != 0 && set.find(c) != std::string_view::npos; }

}  // namespace

std::optional<std::int64_t> take_number(std::string_view text, std::size_t& at) {
  const std::size_t start = at;
  std::int64_t number = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    number = number * 10 + (text[at] - '0');
    if (number > std::numeric_limits<std::int32_t>::max()) Budget::exhausted("memory");
  }
  return at == start ? std::nullopt : std::optional(number);
}

FormatSpec parse_format_spec(std::string_view text) {
  FormatSpec spec;
  std::size_t at = 0;
  bool filled = false;
  const auto peek = [&] { return at < text.size() ? text[at] : '\0'; };
  if (!text.empty()) {
    const std::size_t length = text::decode_utf8(text, 0).length;
    if (length < text.size() && is_one_of(text[length], "<>=^")) {
      spec.fill = std::string(text.substr(0, length));
      at = length;
      filled = true;
    }
  }
  if (is_one_of(peek(), "<>=^")) spec.align = text[at++];
  if (is_one_of(peek(), "+- ")) spec.sign = text[at++];
  if (peek() == '#') spec.alternate = ++at > 0;
  if (!filled && peek() == '0') {
    ++at;
    spec.fill.assign(1, '0');
    if (spec.align == 0) spec.align = 'z';
  }
  spec.width = take_number(text, at).value_or(0);
  if (is_one_of(peek(), ",_")) spec.grouping = text[at++];
  if (peek() == '.') {
    const auto precision = take_number(text, ++at);
    if (!precision) fail(ErrorKind::usage, "the format specification misses its precision");
    if (*precision > kMaxPrecision) Budget::exhausted("memory");
    spec.precision = static_cast<int>(*precision);
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) fail(ErrorKind::usage, "'{}' is not a format specification", text);
  return spec;
}

NumberText integer_parts(std::int64_t value, const FormatSpec& spec, std::size_t minimum) {
  const bool negative = value < 0;
  const auto bits = static_cast<std::uint64_t>(value);
  NumberText number{.lead = sign_text(negative, spec.sign)};
  if (spec.alternate && is_one_of(spec.type, "boxX")) number.lead += std::string("0") + spec.type;
  number.whole = integer_digits(negative ? 0 - bits : bits, spec.type);
  if (number.whole.size() < minimum) number.whole.insert(0, minimum - number.whole.size(), '0');
  return number;
}

NumberText real_parts(double value, const FormatSpec& spec) {
  NumberText number{.lead = sign_text(std::signbit(value) && !std::isnan(value), spec.sign)};
  const double magnitude = std::fabs(spec.type == '%' ? value * 100 : value);
  const bool capitals = is_one_of(spec.type, "EFG");
  if (!std::isfinite(magnitude)) {
    number.rest = std::isnan(magnitude) ? "nan" : "inf";
  } else {
    constexpr int kDefaultPrecision = 6;
    const int precision = spec.precision.value_or(kDefaultPrecision);
    switch (spec.type) {
      case 0:
        split_at_point(general_digits(magnitude, spec.precision, spec.alternate), number);
        break;
      case 'e':
      case 'E':
        split_at_point(real_digits(magnitude, 'e', precision, spec.alternate), number);
        break;
      case 'g':
      case 'G':
      case 'n':
        split_at_point(real_digits(magnitude, 'g', std::max(1, precision), spec.alternate), number);
        break;
      default:
        split_at_point(real_digits(magnitude, 'f', precision, spec.alternate), number);
    }
  }
  if (capitals) number.rest = to_upper(number.rest);
  if (spec.type == '%') number.rest += '%';
  return number;
}

void append_number(TextBuilder& out, const NumberText& number, const FormatSpec& spec) {
  const bool zeros = spec.align == 'z' || (spec.align == '=' && spec.fill == "0");
  std::string whole = number.whole;
  if (spec.grouping != 0 && !whole.empty()) {
    out.budget().require(static_cast<std::size_t>(spec.width));
    const std::size_t size = is_one_of(spec.type, "boxX") ? 4 : 3;
    const std::size_t others = number.lead.size() + number.rest.size();
    const std::size_t width = zeros ? static_cast<std::size_t>(spec.width) : 0;
    whole = grouped(std::move(whole), spec.grouping, size, width > others ? width - others : 0);
  }
  const std::string body = whole + number.rest;
  if (zeros || spec.align == '=') {
    out.append(number.lead);
    const auto lead = static_cast<std::int64_t>(number.lead.size());
    append_justified(out, body, std::max<std::int64_t>(0, spec.width - lead), spec.fill, Side::right);
  } else {
    FormatSpec uncut = spec;
    uncut.precision.reset();
    append_aligned(out, number.lead + body, uncut, '>');
  }
}

void append_aligned(TextBuilder& out, std::string_view text, const FormatSpec& spec, char default_align) {
  if (spec.precision) {
    const Str whole{std::string(text)};
    const std::size_t kept = std::min(whole.length, static_cast<std::size_t>(*spec.precision));
    FormatSpec uncut = spec;
    uncut.precision.reset();
    return append_aligned(out, span_of(whole, 0, kept), uncut, default_align);
  }
  const char align = spec.align == 0 || spec.align == 'z' ? default_align : spec.align;
  if (align == '^') {
    // Unlike str.center, an odd fill character always goes right.
    const auto length = static_cast<std::int64_t>(code_point_count(text));
    const std::int64_t before = std::max<std::int64_t>(0, spec.width - length) / 2;
    out.repeat(spec.fill, static_cast<std::size_t>(before));
    append_justified(out, text, spec.width - before, spec.fill, Side::left);
  } else {
    append_justified(out, text, spec.width, spec.fill, align == '<' ? Side::left : Side::right);
  }
}

void append_formatted(Runtime& rt, TextBuilder& out, const Value& value, std::string_view spec_text) {
  if (spec_text.empty()) return out.append(to_text(rt, value));
  const FormatSpec spec = parse_format_spec(spec_text);
  if (value.is(Kind::string)) {
    const bool numeric = spec.sign != '-' || spec.alternate || spec.grouping != 0 || spec.align == '=';
    if (numeric || !(spec.type == 0 || spec.type == 's')) unknown_format(spec.type, value);
    return append_aligned(out, value.as_text(), spec, '<');
  }
  if (!value.is_number()) {
    fail(ErrorKind::usage, "a value of type '{}' takes no format specification", type_name(value));
  }
  const bool real_type = is_one_of(spec.type, "eEfFgG%");
  if (!value.is(Kind::real) && !real_type) {
    if (spec.type == 'c') {
      if (*value.to_integer() < 0 || *value.to_integer() > 0x10FFFF) unknown_format(spec.type, value);
      std::string character;
      text::append_utf8(character, static_cast<char32_t>(*value.to_integer()));
      return append_aligned(out, character, spec, '<');
    }
    if (spec.type != 0 && !is_one_of(spec.type, "bdnoxX")) unknown_format(spec.type, value);
    return append_integer(out, value, spec);
  }
  if (spec.type != 0 && spec.type != 'n' && !real_type) unknown_format(spec.type, value);
  const auto integer = value.to_integer();
  append_number(out, real_parts(integer ? static_cast<double>(*integer) : value.as_real(), spec), spec);
}

}  // namespace medlar::jinja
