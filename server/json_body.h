// The JSON of a request body: strict, bounded in depth, and no key twice.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

namespace medlar::server {

inline constexpr std::size_t kJsonDepth = 64;

// Throws ApiError(400) saying where it stops being JSON, or which key is there twice.
boost::json::value parse_body(std::string_view body);

// A place within a body, "messages[2].content": a chain on the stack, written out only for an error.
struct Path {
  const Path* parent = nullptr;
  std::string_view name = {};
  std::ptrdiff_t index = -1;

  std::string text() const;
  Path operator/(std::string_view field) const { return {this, field, -1}; }
  Path operator[](std::size_t i) const { return {this, {}, static_cast<std::ptrdiff_t>(i)}; }
};

// Throws ApiError(400): "PLACE: MESSAGE", with the place as its param.
[[noreturn]] void fail_at(const Path& path, std::string_view message);

// What a value is, for a message: "a string", "null".
std::string_view kind_name(const boost::json::value& value);

// The object that a value is, and the text of a member: "" where there is none, or an error where it is
// required. Throw ApiError(400) for anything else.
const boost::json::object& object_at(const boost::json::value& value, const Path& path);
std::string_view text_at(const boost::json::object& object, std::string_view key, const Path& path);
std::string_view required_text_at(const boost::json::object& object, std::string_view key, const Path& path);

// What a text says in JSON; null where it is none.
boost::json::value parsed_or_null(std::string_view text);
// What this server has written itself around bodies that it had read.
boost::json::value parse_kept(std::string_view text);

}  // namespace medlar::server
