// Answers parsed whole, in pieces, and at every cut; random calls.
#pragma once

#include <boost/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "text/reply/parser.h"
#include "text/reply/render.h"

namespace medlar::reply {

inline ReplyFormat format_of(std::string_view calls, std::string_view reasoning = "none") {
  return {.calls = &call_format(calls), .reasoning = &reasoning_format(reasoning)};
}

// What a client of the stream has after all deltas.
struct Streamed {
  std::string content, reasoning;
  std::vector<Call> calls;
  bool operator==(const Streamed&) const = default;

  void take(const std::vector<Delta>& deltas) {
    for (const Delta& delta : deltas) take(delta);
  }
  void take(const Delta& delta) {
    using Kind = Delta::Kind;
    if (delta.kind == Kind::content) content += delta.text;
    if (delta.kind == Kind::reasoning) reasoning += delta.text;
    if (delta.kind == Kind::call_begin) calls.push_back({delta.id, delta.name, {}, delta.index});
    if (delta.kind == Kind::call_arguments) {
      ASSERT_FALSE(calls.empty());
      ASSERT_EQ(delta.index, calls.back().index);
      calls.back().arguments += delta.text;
    }
    if (delta.kind == Kind::call_malformed) {
      ASSERT_FALSE(calls.empty());
      calls.pop_back();
    }
  }
};

// Parses pieces and checks that the stream says what the reply says. Ids may be known only at a call's end.
inline Reply parse_pieces(const ReplyFormat& format, const std::vector<std::string_view>& pieces,
                          const ReplyOptions& options = {}) {
  ReplyParser parser(format, options);
  Streamed streamed;
  std::string text;
  for (const std::string_view piece : pieces) {
    streamed.take(parser.push(piece));
    text += piece;
  }
  streamed.take(parser.finish());
  const Reply& reply = parser.reply();
  EXPECT_EQ(reply.text, text);
  EXPECT_EQ(streamed.content, reply.content);
  EXPECT_EQ(streamed.reasoning, reply.reasoning);
  EXPECT_EQ(streamed.calls.size(), reply.calls.size());
  for (std::size_t i = 0; i < std::min(streamed.calls.size(), reply.calls.size()); ++i) {
    EXPECT_EQ(streamed.calls[i].name, reply.calls[i].name);
    EXPECT_EQ(streamed.calls[i].arguments, reply.calls[i].arguments);
    EXPECT_EQ(streamed.calls[i].index, reply.calls[i].index);
    EXPECT_NO_THROW(EXPECT_TRUE(boost::json::parse(reply.calls[i].arguments).is_object()));
  }
  return reply;
}

inline Reply parse(const ReplyFormat& format, std::string_view text, const ReplyOptions& options = {}) {
  return parse_pieces(format, {text}, options);
}

inline void expect_same(const Reply& a, const Reply& b) {
  EXPECT_EQ(a.content, b.content);
  EXPECT_EQ(a.reasoning, b.reasoning);
  EXPECT_EQ(a.calls, b.calls);
  EXPECT_EQ(a.malformed, b.malformed);
  EXPECT_EQ(a.truncated, b.truncated);
}

// Whole, in two pieces at every cut, and byte by byte: the same.
inline Reply parse_every_cut(const ReplyFormat& format, std::string_view text,
                             const ReplyOptions& options = {}) {
  const Reply whole = parse(format, text, options);
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    SCOPED_TRACE(testing::Message() << "cut at " << cut << " of " << text);
    expect_same(parse_pieces(format, {text.substr(0, cut), text.substr(cut)}, options), whole);
    if (testing::Test::HasFailure()) return whole;
  }
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < text.size(); ++i) bytes.push_back(text.substr(i, 1));
  SCOPED_TRACE(testing::Message() << "byte by byte: " << text);
  expect_same(parse_pieces(format, bytes, options), whole);
  return whole;
}

// Random names, arguments and schemas; `seed` decides.
class RandomCalls {
 public:
  explicit RandomCalls(unsigned seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return random_() % n; }
  bool coin() { return below(2) == 0; }

  std::string text(std::size_t longest = 12) {
    static const std::vector<std::string> kParts = {
        "a",  "B",  " ",    "\n", "\t", "\"", "'",   "\\",  "{",    "}",  "[",  "]",   "(",    ")",
        ",",  ":",  "=",    "é",  "日", "😀", "<",   ">",   "</",   "|",  "12", "-.5", "true", "None",
        "\r", "\b", "\x01", "/",  "&",  "#",  "\\n", "\\u", "</x>", "``", ";",  "｜",  "null", "$"};
    std::string result;
    for (std::size_t n = below(longest); n > 0; --n) result += kParts[below(kParts.size())];
    return result;
  }

  boost::json::value value(int depth) {
    switch (below(depth > 0 ? 7 : 5)) {
      case 0:
        return boost::json::value(text());
      case 1:
        return static_cast<std::int64_t>(random_()) - 2147483648LL;
      case 2:
        return static_cast<double>(below(1000)) / 8 + 0.0625;
      case 3:
        return coin();
      case 4:
        return nullptr;
      case 5: {
        boost::json::array list;
        for (std::size_t n = below(4); n > 0; --n) list.push_back(value(depth - 1));
        return list;
      }
      default: {
        boost::json::object object;
        for (std::size_t n = below(4); n > 0; --n) object["k" + text(3)] = value(depth - 1);
        return object;
      }
    }
  }

  boost::json::object arguments() {
    boost::json::object object;
    for (std::size_t n = below(5); n > 0; --n) object[identifier()] = value(3);
    return object;
  }

  std::string identifier() {
    static const std::vector<std::string> kParts = {"get", "_", "city", "x", "Zone", "7", "_id"};
    std::string result = "f";
    for (std::size_t n = 1 + below(4); n > 0; --n) result += kParts[below(kParts.size())];
    return result;
  }

 private:
  std::mt19937 random_;
};

inline std::string type_name(const boost::json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::bool_:
      return "boolean";
    case boost::json::kind::string:
      return "string";
    case boost::json::kind::array:
      return "array";
    case boost::json::kind::object:
      return "object";
    default:
      return "number";
  }
}

// A tool whose schema says the types that these arguments have.
inline Tool tool_for(std::string name, const boost::json::object& arguments) {
  boost::json::object properties;
  for (const auto& [key, value] : arguments) {
    properties[key] = boost::json::object();
    // One template cannot write the type null.
    if (!value.is_null()) properties[key].get_object()["type"] = type_name(value);
  }
  return {std::move(name), {{"type", "object"}, {"properties", std::move(properties)}}};
}

// As Python's json.dumps(ensure_ascii=False) writes it: the form of arguments that were not sampled as JSON.
inline std::string dumps(const boost::json::value& value) {
  if (const auto* object = value.if_object()) {
    std::string out = "{";
    for (const auto& [key, item] : *object) {
      if (out.size() > 1) out += ", ";
      out += dumps(boost::json::value(key)) + ": " + dumps(item);
    }
    return out + "}";
  }
  if (const auto* array = value.if_array()) {
    std::string out = "[";
    for (const auto& item : *array) {
      if (out.size() > 1) out += ", ";
      out += dumps(item);
    }
    return out + "]";
  }
  return boost::json::serialize(value);
}

}  // namespace medlar::reply
