// How long a model stays in memory, as Ollama's clients and the command line write it.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string_view>

#include "server/routes.h"
#include "server/shelf.h"

namespace medlar::server {

inline constexpr std::string_view kKeepAliveAbout =
    "how long the model stays in memory without a request: seconds, or \"5m\"; below zero: for ever";

// "90s", "1h30m", "0", or a plain number of seconds; below zero: for ever. Nothing: it is none of these.
std::optional<KeepAlive> parse_keep_alive(std::string_view text);

// Does with the model of a call what the member "keep_alive" of its body says: the same, or a number; null:
// nothing. Throws ApiError(400).
void apply_keep_alive(const Call& call, const boost::json::value& value);

}  // namespace medlar::server
