// JSON files beside a model's weights, read whole and within limits.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <filesystem>

namespace medlar {

struct JsonLimits {
  std::uint64_t bytes = 16 << 20;
  std::size_t depth = 64;
};

// Throws Error(bad_file) naming the file when it is no JSON object or beyond the limits; as MappedFile does.
boost::json::object read_json_file(const std::filesystem::path& path, JsonLimits limits = {});

}  // namespace medlar
