// Strings are escaped and read, objects taken apart, by the reader of values.
#include "text/reply/json_text.h"

#include <boost/json/parse.hpp>
#include <boost/json/value_to.hpp>

#include "base/error.h"
#include "text/reply/pattern.h"
#include "text/reply/value_reader.h"

namespace medlar::reply {

void append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (byte < 0x20) {
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 15];
        } else {
          out += c;
        }
    }
  }
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  append_escaped(out, text);
  out += '"';
  return out;
}

std::string unquoted(std::string_view literal) {
  boost::json::parse_options options;
  options.allow_invalid_utf8 = true;
  return boost::json::value_to<std::string>(boost::json::parse(literal, {}, options));
}

bool is_json(std::string_view text, int max_depth) {
  ValueReader reader(Notation::json, {}, max_depth);
  std::string copy;
  const std::size_t end = reader.feed(text, copy);
  return reader.finish(copy) == ValueReader::State::done && trim(text.substr(end)).empty();
}

std::vector<Member> members(std::string_view object, int max_depth) {
  object = trim(object);
  if (!object.starts_with('{') || !is_json(object, max_depth)) {
    fail(ErrorKind::usage, "a call's arguments are not a JSON object");
  }
  const auto skip = [&](char c) {
    object = trim(object);
    const bool there = object.starts_with(c);
    if (there) object.remove_prefix(1);
    return there;
  };
  const auto next_value = [&] {
    object = trim(object);
    ValueReader reader(Notation::json, {}, max_depth);
    std::string copy;
    const std::string_view value = object.substr(0, reader.feed(object, copy));
    object.remove_prefix(value.size());
    return value;
  };
  std::vector<Member> result;
  skip('{');
  while (!skip('}')) {
    Member member{.key = unquoted(next_value()), .value = {}};
    skip(':');
    member.value = next_value();
    result.push_back(std::move(member));
    skip(',');
  }
  return result;
}

}  // namespace medlar::reply
