// str() and repr().
#include "text/jinja/repr.h"

#include "text/jinja/chars.h"
#include "text/jinja/numbers.h"

namespace medlar::jinja {
namespace {

void append_hex(TextBuilder& out, char kind, char32_t code, int digits) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out.append('\\');
  out.append(kind);
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out.append(kHex[(code >> shift) & 15]);
}

void append_escape(TextBuilder& out, char32_t c) {
  if (c < 0x100) {
    append_hex(out, 'x', c, 2);
  } else if (c < 0x10000) {
    append_hex(out, 'u', c, 4);
  } else {
    append_hex(out, 'U', c, 8);
  }
}

void append_items(Runtime& rt, TextBuilder& out, const std::vector<Value>& items) {
  bool first = true;
  for (const Value& item : items) {
    if (!first) out.append(", ");
    first = false;
    append_repr(rt, out, item);
  }
}

void append_entries(Runtime& rt, TextBuilder& out, const Dict& dict) {
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    if (!first) out.append(", ");
    first = false;
    append_repr(rt, out, key);
    out.append(": ");
    append_repr(rt, out, value);
  }
}

}  // namespace

void append_text_repr(TextBuilder& out, std::string_view text) {
  const bool double_quotes =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = double_quotes ? '"' : '\'';
  out.append(quote);
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::decode_utf8(text, at);
    if (c.value == static_cast<char32_t>(quote) || c.value == '\\') {
      out.append('\\');
      out.append(c.value);
    } else if (c.value == '\n') {
      out.append("\\n");
    } else if (c.value == '\r') {
      out.append("\\r");
    } else if (c.value == '\t') {
      out.append("\\t");
    } else if (is_printable(c.value)) {
      out.append(text.substr(at, c.length));
    } else {
      append_escape(out, c.value);
    }
    at += c.length;
  }
  out.append(quote);
}

void append_str(Runtime& rt, TextBuilder& out, const Value& value) {
  switch (value.kind()) {
    case Kind::unset:
    case Kind::undefined:
      return;
    case Kind::string:
      return out.append(value.as_text());
    default:
      append_repr(rt, out, value);
  }
}

void append_repr(Runtime& rt, TextBuilder& out, const Value& value) {
  switch (value.kind()) {
    case Kind::unset:
    case Kind::undefined:
      return out.append("Undefined");
    case Kind::none:
      return out.append("None");
    case Kind::boolean:
      return out.append(value.as_boolean() ? "True" : "False");
    case Kind::integer:
      return out.append(fmt::format("{}", *value.to_integer()));
    case Kind::real:
      return out.append(real_text(value.as_real()));
    case Kind::string:
      if (value.as_str().markup) out.append("Markup(");
      append_text_repr(out, value.as_text());
      if (value.as_str().markup) out.append(')');
      return;
    default:
      break;
  }
  const Nesting nesting(rt.budget());
  if (value.is(Kind::list)) {
    out.append('[');
    append_items(rt, out, value.as_list().items);
    out.append(']');
  } else if (value.is(Kind::tuple)) {
    out.append('(');
    append_items(rt, out, value.as_tuple().items);
    out.append(value.as_tuple().items.size() == 1 ? ",)" : ")");
  } else if (value.is(Kind::dict)) {
    out.append('{');
    append_entries(rt, out, value.as_dict());
    out.append('}');
  } else {
    value.as_object().repr(rt, out);
  }
}

void append_ascii(Runtime& rt, TextBuilder& out, const Value& value) {
  TextBuilder repr(rt.budget());
  append_repr(rt, repr, value);
  const std::string& text = repr.text();
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::decode_utf8(text, at);
    if (c.value < 0x80) {
      out.append(text[at]);
    } else {
      append_escape(out, c.value);
    }
    at += c.length;
  }
}

}  // namespace medlar::jinja
