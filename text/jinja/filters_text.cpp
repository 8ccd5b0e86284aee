// Filters that make text.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/chars.h"
#include "text/jinja/compare.h"
#include "text/jinja/numbers.h"
#include "text/jinja/objects.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/runtime.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

// The value as a string; one that is marked up stays so.
Value soft(Runtime& rt, const Value& value) {
  return value.is(Kind::string) ? value : rt.text(to_text(rt, value));
}

template <std::string (*Map)(std::string_view)>
Value mapped(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("filter");
  const Value text = soft(rt, self);
  rt.budget().spend_bytes(text.as_text().size());
  return rt.text(Map(text.as_text()), text.as_str().markup);
}

Value string(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("string");
  return soft(rt, self);
}

Value safe(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("safe");
  return rt.text(to_text(rt, self), true);
}

Value escape(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("escape");
  return escaped(rt, self);
}

Value force_escape(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("forceescape");
  TextBuilder out(rt.budget());
  append_escaped(out, to_text(rt, self));
  return rt.text(std::move(out), true);
}

bool starts_word(char32_t c) {
  return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

// Words, which white space and opening brackets separate, with a capital first letter.
Value title(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("title");
  const std::string text = to_text(rt, self);
  TextBuilder out(rt.budget());
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    const bool separator = starts_word(text::decode_utf8(text, at).value);
    while (end < text.size()) {
      const text::CodePoint c = text::decode_utf8(text, end);
      if (starts_word(c.value) != separator) break;
      end += c.length;
    }
    const std::size_t first = text::decode_utf8(text, at).length;
    out.append(to_upper(text.substr(at, first)));
    out.append(to_lower(text.substr(at + first, end - at - first)));
    at = end;
  }
  return rt.text(std::move(out));
}

Value trim(Runtime& rt, const Value& self, Arguments& args) {
  const auto [chars] = args.bind<1>("trim", {"chars"});
  const Value text = soft(rt, self);
  std::optional<std::string_view> set;
  if (!chars.is(Kind::unset) && !chars.is(Kind::none)) set = text_argument(chars, "trim's characters").text;
  return rt.text(std::string(strip(text.as_text(), set, Side::both)), text.as_str().markup);
}

Value center(Runtime& rt, const Value& self, Arguments& args) {
  const auto [width] = args.bind<1>("center", {"width"});
  const Value text = soft(rt, self);
  const std::int64_t columns = width.is(Kind::unset) ? 80 : integer_argument(width, "center's width");
  TextBuilder out(rt.budget());
  append_justified(out, text.as_text(), columns, " ", Side::both);
  return rt.text(std::move(out), text.as_str().markup);
}

Value replace(Runtime& rt, const Value& self, Arguments& args) {
  const auto [old, replacement, count] = args.bind<3>("replace", {"old", "new", "count"}, 2);
  const bool unlimited = count.is(Kind::unset) || count.is(Kind::none);
  const std::int64_t most = unlimited ? kNoLimit : integer_argument(count, "replace's count");
  TextBuilder out(rt.budget());
  append_replaced(out, to_text(rt, self), to_text(rt, old), to_text(rt, replacement), most);
  return rt.text(std::move(out));
}

Value format(Runtime& rt, const Value& self, Arguments& args) {
  if (!args.positional.empty() && !args.named.empty()) {
    fail(ErrorKind::usage, "format takes positional or keyword arguments, not both");
  }
  const Value text = soft(rt, self);
  if (args.named.empty()) return percent_format(rt, text.as_str(), rt.tuple(std::move(args.positional)));
  Dict names;
  for (auto& [name, value] : args.named) names.set(rt.text(name), std::move(value));
  return percent_format(rt, text.as_str(), rt.dict(std::move(names)));
}

Value indent(Runtime& rt, const Value& self, Arguments& args) {
  const auto [width, first, blank] = args.bind<3>("indent", {"width", "first", "blank"});
  if (self.is(Kind::undefined)) fail_undefined(self);
  const Str& text = text_argument(self, "what indent indents");
  TextBuilder margin(rt.budget());
  if (width.is(Kind::string)) {
    margin.append(width.as_text());
  } else {
    const std::int64_t columns = width.is(Kind::unset) ? 4 : integer_argument(width, "indent's width");
    margin.repeat(" ", static_cast<std::size_t>(std::max<std::int64_t>(0, columns)));
  }
  const bool blank_lines = truthy(rt, blank);
  TextBuilder out(rt.budget());
  if (truthy(rt, first)) out.append(margin.text());
  bool first_line = true;
  split_lines(text.text + "\n", false, [&](std::string_view line) {
    if (!first_line) out.append('\n');
    if (!first_line && (blank_lines || !line.empty())) out.append(margin.text());
    first_line = false;
    out.append(line);
  });
  return rt.text(std::move(out), text.markup);
}

Value truncate(Runtime& rt, const Value& self, Arguments& args) {
  const auto [length, kill_words, end, leeway] =
      args.bind<4>("truncate", {"length", "killwords", "end", "leeway"});
  const Str& text = text_argument(self, "what truncate cuts");
  const std::int64_t most = length.is(Kind::unset) ? 255 : integer_argument(length, "truncate's length");
  const Str ellipsis(end.is(Kind::unset) ? "..." : text_argument(end, "truncate's end").text);
  const bool default_leeway = leeway.is(Kind::unset) || leeway.is(Kind::none);
  const std::int64_t slack = default_leeway ? 5 : integer_argument(leeway, "truncate's leeway");
  if (most < static_cast<std::int64_t>(ellipsis.length) || slack < 0) {
    fail(ErrorKind::usage, "truncate needs a length of at least {} and no negative leeway", ellipsis.length);
  }
  if (static_cast<std::int64_t>(text.length) <= add(most, slack)) return self;
  std::string_view kept = span_of(text, 0, static_cast<std::size_t>(most) - ellipsis.length);
  if (!truthy(rt, kill_words)) kept = kept.substr(0, std::min(kept.rfind(' '), kept.size()));
  TextBuilder out(rt.budget());
  out.append(kept);
  if (text.markup) {
    append_escaped(out, ellipsis.text);
  } else {
    out.append(ellipsis.text);
  }
  return rt.text(std::move(out), text.markup);
}

Value word_count(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("wordcount");
  const std::string text = to_text(rt, self);
  rt.budget().spend_bytes(text.size());
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::decode_utf8(text, at);
    at += c.length;
    const bool word = c.value == '_' || is_alnum(c.value);
    if (word && !inside) ++words;
    inside = word;
  }
  return Value::integer(words);
}

bool unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-' || c == '~';
}

void append_quoted(TextBuilder& out, std::string_view text, bool query) {
  for (char c : text) {
    if (unreserved(c) || (c == '/' && !query)) {
      out.append(c);
    } else if (c == ' ' && query) {
      out.append('+');
    } else {
      out.append(fmt::format("%{:02X}", static_cast<unsigned char>(c)));
    }
  }
}

Value url_encode(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("urlencode");
  TextBuilder out(rt.budget());
  const bool iterable = !self.is(Kind::none) && !self.is_number();
  if (self.is(Kind::string) || !iterable) {
    append_quoted(out, to_text(rt, self), false);
    return rt.text(std::move(out));
  }
  bool first = true;
  rt.each(self.is(Kind::dict) ? dict_items(rt, self) : self, [&](const Value& item) {
    const std::vector<Value> pair = collect(rt, item);
    if (pair.size() != 2) fail(ErrorKind::usage, "urlencode needs pairs");
    if (!first) out.append('&');
    first = false;
    append_quoted(out, to_text(rt, pair[0]), true);
    out.append('=');
    append_quoted(out, to_text(rt, pair[1]), true);
    return true;
  });
  return rt.text(std::move(out));
}

Value xml_attributes(Runtime& rt, const Value& self, Arguments& args) {
  const auto [autospace] = args.bind<1>("xmlattr", {"autospace"});
  if (!self.is(Kind::dict)) fail(ErrorKind::usage, "xmlattr needs a mapping");
  TextBuilder out(rt.budget());
  const bool leading = autospace.is(Kind::unset) || truthy(rt, autospace);
  for (const auto& [key, value] : self.as_dict().entries()) {
    if (value.is(Kind::none) || value.is(Kind::undefined)) continue;
    if (text_argument(key, "an attribute's name").text.find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      fail(ErrorKind::usage, "invalid character in attribute name");
    }
    if (leading || !out.text().empty()) out.append(' ');
    out.append(escaped(rt, key).as_text());
    out.append("=\"");
    out.append(escaped(rt, value).as_text());
    out.append('"');
  }
  return rt.text(std::move(out));
}

Value pretty(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("pprint");
  TextBuilder out(rt.budget());
  append_pretty(rt, out, self);
  return rt.text(std::move(out));
}

// Without tags and comments, white space collapsed, the common character references resolved.
Value strip_tags(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("striptags");
  const std::string text = to_text(rt, self);
  TextBuilder bare(rt.budget());
  std::size_t at = 0;
  for (std::size_t tag = text.find('<'); tag != std::string::npos; tag = text.find('<', at)) {
    const bool comment = text.compare(tag, 4, "<!--") == 0;
    const std::size_t end = comment ? text.find("-->", tag + 4) : text.find('>', tag);
    if (end == std::string::npos) break;
    bare.append(std::string_view(text).substr(at, tag - at));
    at = end + (comment ? 3 : 1);
  }
  bare.append(std::string_view(text).substr(at));
  TextBuilder words(rt.budget());
  split_words(bare.text(), kNoLimit, [&](std::string_view word) {
    if (!words.text().empty()) words.append(' ');
    words.append(word);
  });
  struct Reference {
    std::string_view name, text;
  };
  constexpr Reference kReferences[] = {{"&lt;", "<"},  {"&gt;", ">"},   {"&quot;", "\""},     {"&#34;", "\""},
                                       {"&#39;", "'"}, {"&apos;", "'"}, {"&nbsp;", "\u00A0"}, {"&amp;", "&"}};
  std::string result = words.take();
  for (const Reference& reference : kReferences) {
    TextBuilder out(rt.budget());
    append_replaced(out, result, reference.name, reference.text, kNoLimit);
    result = out.take();
  }
  return rt.text(std::move(result));
}

Value unsupported(Runtime&, const Value&, Arguments&) {
  fail(ErrorKind::unsupported, "the filters random, urlize and wordwrap are not supported");
}

constexpr NamedBuiltin kFilters[] = {
    {"capitalize", mapped<to_capitalized>},
    {"center", center},
    {"e", escape},
    {"escape", escape},
    {"forceescape", force_escape},
    {"format", format},
    {"indent", indent},
    {"lower", mapped<to_lower>},
    {"pprint", pretty},
    {"random", unsupported},
    {"replace", replace},
    {"safe", safe},
    {"string", string},
    {"striptags", strip_tags},
    {"title", title},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", mapped<to_upper>},
    {"urlencode", url_encode},
    {"urlize", unsupported},
    {"wordcount", word_count},
    {"wordwrap", unsupported},
    {"xmlattr", xml_attributes},
};

}  // namespace

std::span<const NamedBuiltin> text_filters() { return kFilters; }

}  // namespace medlar::jinja
