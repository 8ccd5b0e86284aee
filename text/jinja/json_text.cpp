// json.dumps of Python.
#include <algorithm>
#include <cmath>

#include "text/jinja/compare.h"
#include "text/jinja/numbers.h"
#include "text/jinja/repr.h"

namespace medlar::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(Runtime& rt, TextBuilder& out, const JsonStyle& style) : rt_(rt), out_(out), style_(style) {}

  void value(const Value& v) {
    switch (v.kind()) {
      case Kind::string:
        return text(v.as_text());
      case Kind::list:
      case Kind::tuple:
        return array(*v.items());
      case Kind::dict:
        return object(v.as_dict());
      default:
        if (!scalar(v)) {
          fail(ErrorKind::usage, "an object of type {} has no JSON form", type_name(v));
        }
    }
  }

 private:
  // Whether it was one.
  bool scalar(const Value& v) {
    switch (v.kind()) {
      case Kind::none:
        out_.append("null");
        return true;
      case Kind::boolean:
        out_.append(v.as_boolean() ? "true" : "false");
        return true;
      case Kind::integer:
        out_.append(fmt::format("{}", *v.to_integer()));
        return true;
      case Kind::real:
        real(v.as_real());
        return true;
      default:
        return false;
    }
  }

  void real(double v) {
    if (std::isnan(v)) {
      out_.append("NaN");
    } else if (std::isinf(v)) {
      out_.append(v > 0 ? "Infinity" : "-Infinity");
    } else {
      out_.append(real_text(v));
    }
  }

  void array(const std::vector<Value>& items) {
    if (items.empty()) return out_.append("[]");
    const Nesting nesting(rt_.budget());
    out_.append('[');
    ++level_;
    bool first = true;
    for (const Value& item : items) {
      separate(first);
      value(item);
    }
    close(']');
  }

  void object(const Dict& dict) {
    if (dict.size() == 0) return out_.append("{}");
    const Nesting nesting(rt_.budget());
    std::vector<const Dict::Entry*> entries;
    for (const auto& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto* a, const auto* b) { return less(a->first, b->first); });
    }
    out_.append('{');
    ++level_;
    bool first = true;
    for (const auto* entry : entries) {
      separate(first);
      key(entry->first);
      out_.append(style_.key_separator);
      value(entry->second);
    }
    close('}');
  }

  void key(const Value& k) {
    if (k.is(Kind::string)) return text(k.as_text());
    out_.append('"');
    if (!scalar(k)) fail(ErrorKind::usage, "JSON keys cannot be of type {}", type_name(k));
    out_.append('"');
  }

  void separate(bool& first) {
    if (!first) out_.append(style_.item_separator);
    first = false;
    new_line();
  }

  void close(char bracket) {
    --level_;
    new_line();
    out_.append(bracket);
  }

  void new_line() {
    if (!style_.indent) return;
    out_.append('\n');
    out_.repeat(*style_.indent, level_);
  }

  void text(std::string_view s) {
    out_.append('"');
    std::size_t plain = 0;  // start of what needs no escape
    for (std::size_t at = 0; at < s.size();) {
      const auto byte = static_cast<unsigned char>(s[at]);
      const bool escaped = byte < 0x20 || byte == '"' || byte == '\\' || (style_.ascii && byte >= 0x7F);
      if (!escaped) {
        ++at;
        continue;
      }
      out_.append(s.substr(plain, at - plain));
      const text::CodePoint c = text::decode_utf8(s, at);
      escape(c.value);
      at += c.length;
      plain = at;
    }
    out_.append(s.substr(plain));
    out_.append('"');
  }

  void escape(char32_t c) {
    constexpr std::string_view kNamed = "\"\\\b\f\n\r\t";
    constexpr std::string_view kNames = "\"\\bfnrt";
    const std::size_t named = c < 0x80 ? kNamed.find(static_cast<char>(c)) : std::string_view::npos;
    if (named != std::string_view::npos) {
      out_.append('\\');
      out_.append(kNames[named]);
    } else if (c < 0x10000) {
      out_.append(fmt::format("\\u{:04x}", static_cast<unsigned>(c)));
    } else {
      const auto rest = static_cast<unsigned>(c - 0x10000);
      out_.append(fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF)));
    }
  }

  Runtime& rt_;
  TextBuilder& out_;
  const JsonStyle& style_;
  std::size_t level_ = 0;
};

}  // namespace

void append_json(Runtime& rt, TextBuilder& out, const Value& value, const JsonStyle& style) {
  JsonWriter(rt, out, style).value(value);
}

}  // namespace medlar::jinja
