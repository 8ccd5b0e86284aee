#include "cli/json.h"

#include <fmt/format.h>

#include "base/error.h"

namespace medlar::cli {

std::string to_line(const boost::json::value& value) { return boost::json::serialize(value) + "\n"; }

boost::json::value parse_json(std::string_view text, std::string_view source) {
  boost::json::stream_parser parser({}, {.max_depth = 64});
  boost::system::error_code error;
  const std::size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error) parser.finish(error);
  if (!error && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
    error = boost::json::error::extra_data;
  if (error) fail(ErrorKind::bad_file, "{}: not JSON at byte {}: {}", source, used, error.message());
  return parser.release();
}

}  // namespace medlar::cli
