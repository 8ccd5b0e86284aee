// Filters that turn one value into another: numbers, defaults, attributes, JSON.
#include <algorithm>
#include <array>
#include <cmath>

#include "text/jinja/attributes.h"
#include "text/jinja/builtins.h"
#include "text/jinja/compare.h"
#include "text/jinja/numbers.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"

namespace medlar::jinja {
namespace {

Value absolute(Runtime&, const Value& self, Arguments& args) {
  args.expect_none("abs");
  if (const auto integer = self.to_integer()) {
    return Value::integer(*integer < 0 ? subtract(0, *integer) : *integer);
  }
  if (self.is(Kind::real)) return Value::real(std::fabs(self.as_real()));
  fail(ErrorKind::usage, "abs needs a number, not {}", type_name(self));
}

Value attribute(Runtime& rt, const Value& self, Arguments& args) {
  const auto [name] = args.bind<1>("attr", {"name"}, 1);
  const Member member(text_argument(name, "attr's name").text);
  const Value found = member.dunder ? Value() : find_attribute(rt, self, member);
  return found.is(Kind::unset) ? missing_member(self, name) : found;
}

Value otherwise(Runtime& rt, const Value& self, Arguments& args) {
  const auto [value, boolean] = args.bind<2>("default", {"default_value", "boolean"});
  const bool replaced = self.is(Kind::undefined) || (truthy(rt, boolean) && !truthy(rt, self));
  if (!replaced) return self;
  return value.is(Kind::unset) ? rt.text("") : value;
}

double real_of(const Value& v) {
  const auto integer = v.to_integer();
  return integer ? static_cast<double>(*integer) : v.as_real();
}

std::optional<double> to_real(const Value& v) {
  if (v.is(Kind::undefined)) fail_undefined(v);
  if (v.is(Kind::string)) return parse_real(v.as_text());
  if (v.is_number()) return real_of(v);
  return std::nullopt;
}

Value to_float(Runtime&, const Value& self, Arguments& args) {
  const auto [fallback] = args.bind<1>("float", {"default"});
  if (const auto real = to_real(self)) return Value::real(*real);
  return fallback.is(Kind::unset) ? Value::real(0) : fallback;
}

Value to_int(Runtime&, const Value& self, Arguments& args) {
  const auto [fallback, base] = args.bind<2>("int", {"default", "base"});
  if (self.is(Kind::string)) {
    const std::int64_t radix = base.is(Kind::unset) ? 10 : base.to_integer().value_or(1);
    if (radix == 0 || (radix >= 2 && radix <= 36)) {
      if (const auto integer = parse_integer(self.as_text(), static_cast<int>(radix))) {
        return Value::integer(*integer);
      }
    }
  } else if (const auto integer = self.to_integer()) {
    return Value::integer(*integer);
  } else if (self.is(Kind::real) && !std::isnan(self.as_real())) {
    return Value::integer(truncate(self.as_real()));
  }
  const auto real = to_real(self);
  if (real && std::isfinite(*real)) return Value::integer(truncate(*real));
  return fallback.is(Kind::unset) ? Value::integer(0) : fallback;
}

Value rounded(Runtime&, const Value& self, Arguments& args) {
  const auto [precision, method] = args.bind<2>("round", {"precision", "method"});
  const std::string how = method.is(Kind::unset) ? "common" : text_argument(method, "round's method").text;
  if (how != "common" && how != "ceil" && how != "floor") {
    fail(ErrorKind::usage, "round's method must be common, ceil or floor");
  }
  if (self.is(Kind::undefined)) fail_undefined(self);
  if (!self.is_number()) fail(ErrorKind::usage, "round needs a number, not {}", type_name(self));
  const bool to_integer = precision.is(Kind::none);
  const std::int64_t digits =
      precision.is(Kind::unset) || to_integer ? 0 : integer_argument(precision, "round's precision");
  if (how == "common") {
    if (const auto integer = self.to_integer()) return Value::integer(round_integer(*integer, digits));
    const double result = round_real(self.as_real(), digits);
    return to_integer ? Value::integer(truncate(result)) : Value::real(result);
  }
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double scaled = real_of(self) * scale;
  const std::int64_t whole = truncate(how == "ceil" ? std::ceil(scaled) : std::floor(scaled));
  return Value::real(static_cast<double>(whole) / scale);
}

std::optional<std::string> indent_unit(Runtime& rt, const Value& indent) {
  if (indent.is(Kind::unset) || indent.is(Kind::none)) return std::nullopt;
  if (indent.is(Kind::string)) return indent.as_text();
  const std::int64_t columns = std::max<std::int64_t>(0, integer_argument(indent, "tojson's indent"));
  rt.budget().require(static_cast<std::size_t>(columns));
  return std::string(static_cast<std::size_t>(columns), ' ');
}

// As Transformers defines it: json.dumps, with nothing escaped for HTML.
Value to_json(Runtime& rt, const Value& self, Arguments& args) {
  const auto [ascii, indent, separators, sort_keys] =
      args.bind<4>("tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style{
      .ascii = truthy(rt, ascii), .indent = indent_unit(rt, indent), .sort_keys = truthy(rt, sort_keys)};
  if (style.indent) style.item_separator.pop_back();  // no space before a line end
  if (!separators.is(Kind::unset) && !separators.is(Kind::none)) {
    const std::vector<Value> pair = collect(rt, separators);
    if (pair.size() != 2) fail(ErrorKind::usage, "tojson needs two separators");
    style.item_separator = text_argument(pair[0], "a separator").text;
    style.key_separator = text_argument(pair[1], "a separator").text;
  }
  TextBuilder out(rt.budget());
  append_json(rt, out, self, style);
  return rt.text(std::move(out));
}

Value file_size(Runtime& rt, const Value& self, Arguments& args) {
  const auto [binary_units] = args.bind<1>("filesizeformat", {"binary"});
  const auto size = to_real(self);
  if (!size) fail(ErrorKind::usage, "filesizeformat needs a number");
  const bool binary = truthy(rt, binary_units);
  const double base = binary ? 1024 : 1000;
  if (*size == 1) return rt.text("1 Byte");
  if (*size < base) return rt.text(fmt::format("{} Bytes", truncate(*size)));
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  std::size_t at = 0;
  while (at + 1 < kPrefixes.size() && *size >= unit * base) {
    unit *= base;
    ++at;
  }
  const char prefix = binary && at == 0 ? 'K' : kPrefixes[at];
  return rt.text(fmt::format("{:.1f} {}{}B", *size / unit, prefix, binary ? "i" : ""));
}

constexpr NamedBuiltin kFilters[] = {
    {"abs", absolute},
    {"attr", attribute},
    {"d", otherwise},
    {"default", otherwise},
    {"filesizeformat", file_size},
    {"float", to_float},
    {"int", to_int},
    {"round", rounded},
    {"tojson", to_json},
};

}  // namespace

std::span<const NamedBuiltin> value_filters() { return kFilters; }

}  // namespace medlar::jinja
