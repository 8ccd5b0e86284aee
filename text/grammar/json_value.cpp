// Boost.JSON reads the text; its handler keeps what its own values would lose.
#include "text/grammar/json_value.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>

#include <fmt/format.h>

#include "base/error.h"
#include "text/grammar/decimal.h"
#include "text/grammar/gbnf.h"
#include "text/unicode.h"

namespace medlar::grammar {
namespace {

namespace json = boost::json;

// The interface is json::basic_parser's.
struct Handler {
  static constexpr std::size_t max_object_size = kMaxSourceBytes;
  static constexpr std::size_t max_array_size = kMaxSourceBytes;
  static constexpr std::size_t max_key_size = kMaxSourceBytes;
  static constexpr std::size_t max_string_size = kMaxSourceBytes;
  using Code = json::error_code;
  using View = json::string_view;

  std::vector<Json> open;                          // arrays and objects that are being read
  std::vector<std::pair<bool, std::string>> keys;  // one an open value: whether it is an object, the next key
  Json result;
  std::string part, number;

  void add(Json value) {
    if (open.empty()) {
      result = std::move(value);
      return;
    }
    if (keys.back().first) open.back().keys.push_back(std::move(keys.back().second));
    open.back().items.push_back(std::move(value));
  }
  bool begin(Json::Kind kind) {
    open.emplace_back().kind = kind;
    keys.emplace_back(kind == Json::Kind::object, "");
    return true;
  }
  bool end() {
    Json value = std::move(open.back());
    open.pop_back();
    keys.pop_back();
    std::vector<std::string_view> names(value.keys.begin(), value.keys.end());
    std::ranges::sort(names);
    if (const auto twice = std::ranges::adjacent_find(names); twice != names.end())
      throw Error(ErrorKind::usage, fmt::format("JSON schema: the member \"{}\" comes twice", *twice),
                  "keep one of the two");
    add(std::move(value));
    return true;
  }
  Json of(Json::Kind kind, std::string text) const {
    Json value;
    value.kind = kind;
    value.text = std::move(text);
    return value;
  }
  bool add_number(View text) {
    number.append(text.data(), text.size());
    add(of(Json::Kind::number, std::exchange(number, {})));
    return true;
  }

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code&) { return begin(Json::Kind::object); }
  bool on_object_end(std::size_t, Code&) { return end(); }
  bool on_array_begin(Code&) { return begin(Json::Kind::array); }
  bool on_array_end(std::size_t, Code&) { return end(); }
  bool on_key_part(View text, std::size_t, Code&) { return part.append(text.data(), text.size()), true; }
  bool on_key(View text, std::size_t, Code&) {
    part.append(text.data(), text.size());
    keys.back().second = std::exchange(part, {});
    return true;
  }
  bool on_string_part(View text, std::size_t, Code&) { return part.append(text.data(), text.size()), true; }
  bool on_string(View text, std::size_t, Code&) {
    part.append(text.data(), text.size());
    add(of(Json::Kind::string, std::exchange(part, {})));
    return true;
  }
  bool on_number_part(View text, Code&) { return number.append(text.data(), text.size()), true; }
  bool on_int64(std::int64_t, View text, Code&) { return add_number(text); }
  bool on_uint64(std::uint64_t, View text, Code&) { return add_number(text); }
  bool on_double(double, View text, Code&) { return add_number(text); }
  bool on_bool(bool value, Code&) {
    Json v = of(Json::Kind::boolean, "");
    v.boolean = value;
    add(std::move(v));
    return true;
  }
  bool on_null(Code&) { return add({}), true; }
  bool on_comment_part(View, Code&) { return true; }
  bool on_comment(View, Code&) { return true; }
};

}  // namespace

const Json* Json::find(std::string_view key) const {
  if (kind != Kind::object) return nullptr;
  const auto found = std::ranges::find(keys, key);
  return found == keys.end() ? nullptr : &items[static_cast<std::size_t>(found - keys.begin())];
}

Json parse_json(std::string_view text) {
  if (text.size() > kMaxSourceBytes)
    fail(ErrorKind::limit, "the JSON schema has {} bytes; the limit is {}", text.size(), kMaxSourceBytes);
  json::parse_options options;
  options.max_depth = kMaxNesting;
  json::basic_parser<Handler> parser(options);
  json::error_code code;
  std::size_t used = parser.write_some(false, text.data(), text.size(), code);
  if (!code) used += text.substr(used).find_first_not_of(" \t\r\n") == text.npos ? 0 : 1;
  const bool rest = !code && text.find_first_not_of(" \t\r\n", std::min(used, text.size())) != text.npos;
  if (code || !parser.done() || rest) {
    const std::string_view before = text.substr(0, used);
    const auto line = 1 + std::ranges::count(before, '\n');
    throw Error(code == json::error::too_deep ? ErrorKind::limit : ErrorKind::usage,
                fmt::format("JSON schema, line {}: {}", line, code ? code.message() : "text after the end"),
                "the schema must be one JSON value");
  }
  return std::move(parser.handler().result);
}

std::string quote(std::string_view text, Spelling spelling) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::decode_utf8(text, at);
    constexpr std::string_view kEscaped = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
    if (const std::size_t i = c.value < 0x80 ? kEscaped.find(static_cast<char>(c.value)) : kEscaped.npos;
        i != kEscaped.npos) {
      out += '\\';
      out += kLetters[i];
    } else if (c.value < 0x20 || (spelling == Spelling::ascii && c.value > 0x7E && c.value <= 0xFFFF)) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c.value));
    } else if (spelling == Spelling::ascii && c.value > 0xFFFF) {
      const auto offset = static_cast<std::uint32_t>(c.value) - 0x10000;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (offset >> 10), 0xDC00 + (offset & 0x3FF));
    } else {
      out += text.substr(at, c.length);
    }
    at += c.length;
  }
  out += '"';
  return out;
}

std::string to_text(const Json& value, Spelling spelling) {
  switch (value.kind) {
    case Json::Kind::null:
      return "null";
    case Json::Kind::boolean:
      return value.boolean ? "true" : "false";
    case Json::Kind::number:
      return value.text;
    case Json::Kind::string:
      return quote(value.text, spelling);
    case Json::Kind::array:
    case Json::Kind::object:
      break;
  }
  const bool object = value.is(Json::Kind::object);
  std::string out = object ? "{" : "[";
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    if (i > 0) out += ',';
    if (object) {
      out += quote(value.keys[i], spelling);
      out += ':';
    }
    out += to_text(value.items[i], spelling);
  }
  out += object ? '}' : ']';
  return out;
}

bool equal(const Json& a, const Json& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Json::Kind::null:
      return true;
    case Json::Kind::boolean:
      return a.boolean == b.boolean;
    case Json::Kind::number:
      return Decimal(a.text) == Decimal(b.text);
    case Json::Kind::string:
      return a.text == b.text;
    case Json::Kind::array:
      return std::ranges::equal(a.items, b.items, equal);
    case Json::Kind::object:
      break;
  }
  if (a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    const Json* other = b.find(a.keys[i]);
    if (!other || !equal(a.items[i], *other)) return false;
  }
  return true;
}

}  // namespace medlar::grammar
