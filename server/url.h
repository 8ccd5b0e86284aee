// Parts of a request's target, decoded. RFC 3986.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace medlar::server {

// "%3A" and the like become bytes; what is no such escape stays. Clients write names with colons and slashes
// into the path.
std::string percent_decoded(std::string_view text);

// The value of NAME in "NAME=value&other=...", with '+' as a space (HTML's form encoding); nullopt: not
// there.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace medlar::server
