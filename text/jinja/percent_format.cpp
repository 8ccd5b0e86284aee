// The % operator of strings: printf-style formatting.
#include <cmath>

#include "text/jinja/format_spec.h"
#include "text/jinja/numbers.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

class PercentFormatter {
 public:
  PercentFormatter(Runtime& rt, const Str& format, const Value& arguments)
      : rt_(rt), format_(format.text), markup_(format.markup), arguments_(arguments), out_(rt.budget()) {}

  Value run() {
    while (at_ < format_.size()) {
      const std::size_t percent = format_.find('%', at_);
      out_.append(format_.substr(at_, percent - at_));
      if (percent == std::string_view::npos) break;
      at_ = percent + 1;
      conversion();
    }
    const bool mapping =
        arguments_.is(Kind::dict) || arguments_.is(Kind::list) || arguments_.is(Kind::undefined);
    if (!mapping && used_ < argument_count()) {
      fail(ErrorKind::usage, "not all arguments converted during string formatting");
    }
    return rt_.text(std::move(out_), markup_);
  }

 private:
  std::size_t argument_count() const {
    return arguments_.is(Kind::tuple) ? arguments_.as_tuple().items.size() : 1;
  }

  Value next_argument() {
    if (used_ == argument_count()) fail(ErrorKind::usage, "not enough arguments for format string");
    const Value& value = arguments_.is(Kind::tuple) ? arguments_.as_tuple().items[used_] : arguments_;
    ++used_;
    return value;
  }

  char take() {
    if (at_ == format_.size()) fail(ErrorKind::usage, "incomplete format");
    return format_[at_++];
  }

  // %(key)...: the entry of that key stands for the arguments.
  std::optional<Value> named_argument() {
    if (at_ == format_.size() || format_[at_] != '(') return std::nullopt;
    if (!arguments_.is(Kind::dict)) fail(ErrorKind::usage, "format requires a mapping");
    const std::size_t start = ++at_;
    for (int open = 1; open > 0;) {
      const char c = take();
      open += c == '(' ? 1 : (c == ')' ? -1 : 0);
    }
    const Value* value = arguments_.as_dict().find(format_.substr(start, at_ - 1 - start));
    if (value == nullptr) fail(ErrorKind::usage, "the format's key is not in the mapping");
    return *value;
  }

  void flags(FormatSpec& spec) {
    for (bool zero = false; at_ < format_.size(); ++at_) {
      const char c = format_[at_];
      if (c == '-') {
        spec.align = '<';
      } else if (c == '+' || (c == ' ' && spec.sign != '+')) {
        spec.sign = c;
      } else if (c == '#') {
        spec.alternate = true;
      } else if (c == '0') {
        zero = true;
      } else if (c != ' ') {
        break;
      }
      if (zero && spec.align == 0) spec.align = 'z';
    }
  }

  std::int64_t star_or_number(std::int64_t otherwise) {
    if (at_ < format_.size() && format_[at_] == '*') {
      ++at_;
      return integer_argument(next_argument(), "a * width");
    }
    return take_number(format_, at_).value_or(otherwise);
  }

  void conversion() {
    std::optional<Value> value = named_argument();
    FormatSpec spec;
    flags(spec);
    spec.width = star_or_number(0);
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = spec.width == std::numeric_limits<std::int64_t>::min() ? 0 : -spec.width;
    }
    if (at_ < format_.size() && format_[at_] == '.') {
      ++at_;
      constexpr std::int64_t kMostDigits = 100'000;
      const std::int64_t precision = std::max<std::int64_t>(0, star_or_number(0));
      if (precision > kMostDigits) Budget::exhausted("memory");
      spec.precision = static_cast<int>(precision);
    }
    spec.type = take();
    if (spec.type == 'h' || spec.type == 'l' || spec.type == 'L') spec.type = take();
    if (spec.type == '%') return out_.append('%');
    convert(value ? *value : next_argument(), spec);
  }

  void convert(const Value& value, FormatSpec& spec) {
    switch (spec.type) {
      case 's':
      case 'r':
      case 'a':
        return text(value, spec);
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X':
        return integer(value, spec);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return real(value, spec);
      case 'c':
        return character(value, spec);
      default:
        fail(ErrorKind::usage, "unsupported format character '{}'", spec.type);
    }
  }

  void text(const Value& value, FormatSpec spec) {
    TextBuilder plain(rt_.budget());
    if (spec.type == 's') {
      append_str(rt_, plain, value);
    } else if (spec.type == 'r') {
      append_repr(rt_, plain, value);
    } else {
      append_ascii(rt_, plain, value);
    }
    if (spec.align == 'z') spec.align = 0;  // zeros are for numbers
    const bool safe = spec.type == 's' && value.is(Kind::string) && value.as_str().markup;
    if (markup_ && !safe) {
      TextBuilder escaped(rt_.budget());
      append_escaped(escaped, plain.text());
      return append_aligned(out_, escaped.text(), spec, '>');
    }
    append_aligned(out_, plain.text(), spec, '>');
  }

  void integer(const Value& value, FormatSpec spec) {
    std::int64_t number = 0;
    if (const auto exact = value.to_integer()) {
      number = *exact;
    } else if (value.is(Kind::real) && (spec.type == 'd' || spec.type == 'i' || spec.type == 'u')) {
      number = truncate(value.as_real());
    } else {
      expect_number(value, spec.type);
    }
    const auto digits = static_cast<std::size_t>(spec.precision.value_or(0));
    spec.precision.reset();
    append_zero_filled(integer_parts(number, spec, digits), spec);
  }

  void real(const Value& value, const FormatSpec& spec) {
    if (!value.is_number()) expect_number(value, spec.type);
    const auto integer = value.to_integer();
    append_zero_filled(real_parts(integer ? static_cast<double>(*integer) : value.as_real(), spec), spec);
  }

  void append_zero_filled(const NumberText& number, FormatSpec spec) {
    if (spec.align == 'z') spec.fill.assign(1, '0');
    append_number(out_, number, spec);
  }

  void character(const Value& value, FormatSpec spec) {
    std::string one;
    if (const auto code = value.to_integer()) {
      if (*code < 0 || *code > 0x10FFFF) fail(ErrorKind::usage, "%c needs a character's number");
      text::append_utf8(one, static_cast<char32_t>(*code));
    } else if (value.is(Kind::string) && value.as_str().length == 1) {
      one = value.as_text();
    } else {
      fail(ErrorKind::usage, "%c needs an integer or one character");
    }
    spec.precision.reset();
    if (spec.align == 'z') spec.align = 0;
    append_aligned(out_, one, spec, '>');
  }

  [[noreturn]] void expect_number(const Value& value, char type) {
    if (value.is(Kind::undefined)) fail_undefined(value);
    fail(ErrorKind::usage, "%{} needs a number, not {}", type, jinja::type_name(value));
  }

  Runtime& rt_;
  std::string_view format_;
  bool markup_;
  const Value& arguments_;
  TextBuilder out_;
  std::size_t at_ = 0;
  std::size_t used_ = 0;
};

}  // namespace

Value percent_format(Runtime& rt, const Str& format, const Value& arguments) {
  return PercentFormatter(rt, format, arguments).run();
}

}  // namespace medlar::jinja
