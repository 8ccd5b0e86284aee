// JSON in and out of the commands.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

namespace medlar::cli {

// One line ended by a newline.
std::string to_line(const boost::json::value& value);

// At most 64 levels deep. Throws Error(bad_file) naming `source` and the place.
boost::json::value parse_json(std::string_view text, std::string_view source);

}  // namespace medlar::cli
