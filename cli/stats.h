// What an answer cost: the closing line of --stats, and the same numbers as JSON.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "engine/engine.h"

namespace medlar::cli {

// "31 tokens read at 412/s, 96 written at 88.1/s, first token after 0.12 s, 142 MB of memory"; and
// what it has of GPUs' own
std::string stats_line(const Engine& engine, const Generation& generation);

// The members "usage", "timings", "memory" and "devices" of docs/cli.md.
boost::json::object stats_json(const Engine& engine, const Generation& generation);

}  // namespace medlar::cli
