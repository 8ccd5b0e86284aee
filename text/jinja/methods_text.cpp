// The methods of str. Of marked up text, results are marked up and inserted arguments escaped.
#include <algorithm>
#include <iterator>

#include "text/jinja/chars.h"
#include "text/jinja/compare.h"
#include "text/jinja/member.h"
#include "text/jinja/operators.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

// Arguments that Python takes by position only.
template <std::size_t N>
std::array<Value, N> positional(Arguments& args, std::string_view method, std::size_t required) {
  if (!args.named.empty()) fail(ErrorKind::usage, "{}() takes no keyword arguments", method);
  return args.bind<N>(method, std::array<std::string_view, N>{}, required);
}

bool given(const Value& v) { return !v.is(Kind::unset) && !v.is(Kind::none); }

Value same_markup(Runtime& rt, std::string_view text, const Value& self) {
  return rt.text(std::string(text), self.as_str().markup);
}

// What a method of marked up text inserts.
std::string inserted(Runtime& rt, const Value& self, const Value& argument, std::string_view what) {
  const Str& text = text_argument(argument, what);
  if (!self.as_str().markup || text.markup) return text.text;
  return escaped(rt, argument).as_text();
}

template <std::string (*Map)(std::string_view)>
Value mapped(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("str method");
  rt.budget().spend_bytes(self.as_text().size());
  return rt.text(Map(self.as_text()), self.as_str().markup);
}

template <bool (*Holds)(char32_t)>
Value every(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("str method");
  const std::string& text = self.as_text();
  rt.budget().spend_bytes(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::decode_utf8(text, at);
    if (!Holds(c.value)) return Value::boolean(false);
    at += c.length;
  }
  return Value::boolean(!text.empty());
}

template <bool (*Holds)(std::string_view)>
Value whole(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("str method");
  rt.budget().spend_bytes(self.as_text().size());
  return Value::boolean(Holds(self.as_text()));
}

bool all_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool all_printable(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::decode_utf8(text, at);
    if (!is_printable(c.value)) return false;
    at += c.length;
  }
  return true;
}

bool is_identifier(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::decode_utf8(text, at);
    if (!(at == 0 ? is_identifier_start(c.value) : is_identifier_part(c.value))) return false;
    at += c.length;
  }
  return !text.empty();
}

template <Side S>
Value strip_side(Runtime& rt, const Value& self, Arguments& args) {
  const auto [chars] = positional<1>(args, "strip", 0);
  std::optional<std::string_view> set;
  if (given(chars)) set = text_argument(chars, "strip's characters").text;
  return same_markup(rt, strip(self.as_text(), set, S), self);
}

template <bool FromRight>
Value split(Runtime& rt, const Value& self, Arguments& args) {
  const auto [sep, maxsplit] = args.bind<2>("split", {"sep", "maxsplit"});
  const std::int64_t most = maxsplit.is(Kind::unset) ? kNoLimit : integer_argument(maxsplit, "maxsplit");
  const std::int64_t limit = most < 0 ? kNoLimit : most;
  rt.budget().spend_bytes(self.as_text().size());
  ItemsBuilder parts(rt);
  const EachPart each = [&](std::string_view part) { parts.push_text(part, self.as_str().markup); };
  if (!given(sep)) {
    FromRight ? split_words_from_right(self.as_text(), limit, each)
              : split_words(self.as_text(), limit, each);
  } else {
    const std::string& separator = text_argument(sep, "split's separator").text;
    if (separator.empty()) fail(ErrorKind::usage, "split needs a separator that is not empty");
    FromRight ? split_on_from_right(self.as_text(), separator, limit, each)
              : split_on(self.as_text(), separator, limit, each);
  }
  if (FromRight) std::reverse(parts.items().begin(), parts.items().end());
  return rt.list(parts.take());
}

Value splitlines(Runtime& rt, const Value& self, Arguments& args) {
  const auto [keepends] = args.bind<1>("splitlines", {"keepends"});
  ItemsBuilder lines(rt);
  split_lines(self.as_text(), truthy(rt, keepends),
              [&](std::string_view line) { lines.push_text(line, self.as_str().markup); });
  return rt.list(lines.take());
}

template <bool FromRight>
Value partition(Runtime& rt, const Value& self, Arguments& args) {
  const auto [sep] = positional<1>(args, "partition", 1);
  const std::string_view text = self.as_text();
  const std::string& separator = text_argument(sep, "partition's separator").text;
  if (separator.empty()) fail(ErrorKind::usage, "partition needs a separator that is not empty");
  const std::size_t at = FromRight ? text.rfind(separator) : text.find(separator);
  const bool found = at != std::string_view::npos;
  const std::string_view before = found ? text.substr(0, at) : (FromRight ? std::string_view() : text);
  const std::string_view after =
      found ? text.substr(at + separator.size()) : (FromRight ? text : std::string_view());
  return rt.tuple({same_markup(rt, before, self), same_markup(rt, found ? separator : "", self),
                   same_markup(rt, after, self)});
}

// The part of a text that start and end select, as bytes, with the code points before it. Nothing when start
// lies past the end.
struct Window {
  std::string_view text;
  std::size_t first;
};
std::optional<Window> window(const Str& s, const Value& start, const Value& end) {
  const auto size = static_cast<std::int64_t>(s.length);
  const auto bound = [size](const Value& v, std::int64_t otherwise) {
    if (!given(v)) return otherwise;
    const std::int64_t at = integer_argument(v, "a position");
    return at < 0 ? std::max<std::int64_t>(0, at + size) : at;
  };
  const std::int64_t first = bound(start, 0);
  const std::int64_t last = std::min(size, bound(end, size));
  if (first > last) return std::nullopt;
  return Window{span_of(s, static_cast<std::size_t>(first), static_cast<std::size_t>(last)),
                static_cast<std::size_t>(first)};
}

template <bool FromRight>
std::int64_t position_of(Runtime& rt, const Value& self, Arguments& args) {
  const auto [sub, start, end] = positional<3>(args, "find", 1);
  const std::string& part = text_argument(sub, "what find looks for").text;
  rt.budget().spend_bytes(self.as_text().size());
  const auto within = window(self.as_str(), start, end);
  if (!within) return -1;
  const std::size_t at = FromRight ? within->text.rfind(part) : within->text.find(part);
  if (at == std::string_view::npos) return -1;
  return static_cast<std::int64_t>(within->first + code_point_count(within->text.substr(0, at)));
}

template <bool FromRight>
Value find(Runtime& rt, const Value& self, Arguments& args) {
  return Value::integer(position_of<FromRight>(rt, self, args));
}

template <bool FromRight>
Value index(Runtime& rt, const Value& self, Arguments& args) {
  const std::int64_t at = position_of<FromRight>(rt, self, args);
  if (at < 0) fail(ErrorKind::usage, "substring not found");
  return Value::integer(at);
}

Value count(Runtime& rt, const Value& self, Arguments& args) {
  const auto [sub, start, end] = positional<3>(args, "count", 1);
  const std::string& part = text_argument(sub, "what count looks for").text;
  rt.budget().spend_bytes(self.as_text().size());
  const auto within = window(self.as_str(), start, end);
  return Value::integer(within ? static_cast<std::int64_t>(count_of(within->text, part)) : 0);
}

template <bool AtEnd>
Value affixed(Runtime& rt, const Value& self, Arguments& args) {
  const auto [affix, start, end] = positional<3>(args, AtEnd ? "endswith" : "startswith", 1);
  const auto within = window(self.as_str(), start, end);
  const auto matches = [&](const Value& v) {
    rt.budget().spend();
    const std::string& text = text_argument(v, "a prefix or suffix").text;
    return within && (AtEnd ? within->text.ends_with(text) : within->text.starts_with(text));
  };
  if (!affix.is(Kind::tuple)) return Value::boolean(matches(affix));
  const auto& items = affix.as_tuple().items;
  return Value::boolean(std::any_of(items.begin(), items.end(), matches));
}

Value removeprefix(Runtime& rt, const Value& self, Arguments& args) {
  const auto [prefix] = positional<1>(args, "removeprefix", 1);
  std::string_view text = self.as_text();
  const std::string& part = text_argument(prefix, "a prefix").text;
  if (text.starts_with(part)) text.remove_prefix(part.size());
  return same_markup(rt, text, self);
}

Value removesuffix(Runtime& rt, const Value& self, Arguments& args) {
  const auto [suffix] = positional<1>(args, "removesuffix", 1);
  std::string_view text = self.as_text();
  const std::string& part = text_argument(suffix, "a suffix").text;
  if (text.ends_with(part)) text.remove_suffix(part.size());
  return same_markup(rt, text, self);
}

Value replace(Runtime& rt, const Value& self, Arguments& args) {
  const auto [old, replacement, count] = positional<3>(args, "replace", 2);
  const std::int64_t most = count.is(Kind::unset) ? kNoLimit : integer_argument(count, "replace's count");
  TextBuilder out(rt.budget());
  append_replaced(out, self.as_text(), text_argument(old, "what replace looks for").text,
                  inserted(rt, self, replacement, "a replacement"), most);
  return rt.text(std::move(out), self.as_str().markup);
}

Value join(Runtime& rt, const Value& self, Arguments& args) {
  const auto [iterable] = positional<1>(args, "join", 1);
  const bool markup = self.as_str().markup;
  TextBuilder out(rt.budget());
  bool first = true;
  rt.each(iterable, [&](const Value& item) {
    if (!first) out.append(self.as_text());
    first = false;
    out.append(markup ? escaped(rt, item).as_text() : text_argument(item, "what join joins").text);
    return true;
  });
  return rt.text(std::move(out), markup);
}

template <Side S>
Value justify(Runtime& rt, const Value& self, Arguments& args) {
  const auto [width, fillchar] = positional<2>(args, "justify", 1);
  const std::string fill =
      fillchar.is(Kind::unset) ? " " : inserted(rt, self, fillchar, "the fill character");
  if (code_point_count(fill) != 1) fail(ErrorKind::usage, "the fill character must be exactly one character");
  TextBuilder out(rt.budget());
  append_justified(out, self.as_text(), integer_argument(width, "a width"), fill, S);
  return rt.text(std::move(out), self.as_str().markup);
}

Value zfill(Runtime& rt, const Value& self, Arguments& args) {
  const auto [width] = positional<1>(args, "zfill", 1);
  std::string_view digits = self.as_text();
  const std::int64_t columns = integer_argument(width, "zfill's width");
  TextBuilder out(rt.budget());
  const bool sign = digits.starts_with('+') || digits.starts_with('-');
  if (sign) {
    out.append(digits[0]);
    digits.remove_prefix(1);
  }
  append_justified(out, digits, std::max<std::int64_t>(0, columns) - (sign ? 1 : 0), "0", Side::right);
  return rt.text(std::move(out), self.as_str().markup);
}

Value expandtabs(Runtime& rt, const Value& self, Arguments& args) {
  const auto [tabsize] = args.bind<1>("expandtabs", {"tabsize"});
  const std::int64_t size = tabsize.is(Kind::unset) ? 8 : integer_argument(tabsize, "tabsize");
  TextBuilder out(rt.budget());
  std::int64_t column = 0;
  for (const char c : self.as_text()) {
    if (c == '\t') {
      const std::int64_t spaces = size > 0 ? size - column % size : 0;
      out.repeat(" ", static_cast<std::size_t>(spaces));
      column += spaces;
      continue;
    }
    if ((c & 0xC0) != 0x80) ++column;
    if (c == '\n' || c == '\r') column = 0;
    out.append(c);
  }
  return rt.text(std::move(out), self.as_str().markup);
}

Value format(Runtime& rt, const Value& self, Arguments& args) {
  return brace_format(rt, self.as_str(), args);
}

Value format_map(Runtime& rt, const Value& self, Arguments& args) {
  const auto [mapping] = positional<1>(args, "format_map", 1);
  if (!mapping.is(Kind::dict)) fail(ErrorKind::usage, "format_map needs a mapping");
  Arguments named;
  for (const auto& [key, value] : mapping.as_dict().entries()) {
    rt.budget().spend();
    if (key.is(Kind::string)) named.named.emplace_back(key.as_text(), value);
  }
  return brace_format(rt, self.as_str(), named);
}

Value unsupported(Runtime&, const Value&, Arguments&) {
  fail(ErrorKind::unsupported, "bytes and translation tables are not supported");
}

constexpr Method kMethods[] = {
    {"capitalize", mapped<to_capitalized>},
    {"casefold", mapped<to_folded>},
    {"center", justify<Side::both>},
    {"count", count},
    {"encode", unsupported},
    {"endswith", affixed<true>},
    {"expandtabs", expandtabs},
    {"find", find<false>},
    {"format", format},
    {"format_map", format_map},
    {"index", index<false>},
    {"isalnum", every<is_alnum>},
    {"isalpha", every<is_alpha>},
    {"isascii", whole<all_ascii>},
    {"isdecimal", every<is_decimal>},
    {"isdigit", every<is_digit>},
    {"isidentifier", whole<is_identifier>},
    {"islower", whole<all_lower>},
    {"isnumeric", every<is_numeric>},
    {"isprintable", whole<all_printable>},
    {"isspace", every<is_space>},
    {"istitle", whole<all_title>},
    {"isupper", whole<all_upper>},
    {"join", join},
    {"ljust", justify<Side::left>},
    {"lower", mapped<to_lower>},
    {"lstrip", strip_side<Side::left>},
    {"maketrans", unsupported},
    {"partition", partition<false>},
    {"removeprefix", removeprefix},
    {"removesuffix", removesuffix},
    {"replace", replace},
    {"rfind", find<true>},
    {"rindex", index<true>},
    {"rjust", justify<Side::right>},
    {"rpartition", partition<true>},
    {"rsplit", split<true>},
    {"rstrip", strip_side<Side::right>},
    {"split", split<false>},
    {"splitlines", splitlines},
    {"startswith", affixed<false>},
    {"strip", strip_side<Side::both>},
    {"swapcase", mapped<swap_case>},
    {"title", mapped<to_title>},
    {"translate", unsupported},
    {"upper", mapped<to_upper>},
    {"zfill", zfill},
};

}  // namespace

const Method* find_text_method(std::string_view name) {
  const auto* found = std::lower_bound(std::begin(kMethods), std::end(kMethods), name,
                                       [](const Method& m, std::string_view n) { return m.name < n; });
  return found != std::end(kMethods) && found->name == name ? found : nullptr;
}

}  // namespace medlar::jinja
