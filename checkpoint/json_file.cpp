#include "checkpoint/json_file.h"

#include <boost/json/parse.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/mapped_file.h"

namespace medlar {

namespace json = boost::json;

json::object read_json_file(const std::filesystem::path& path, JsonLimits limits) {
  const MappedFile file(path);
  const std::string name = printable(path.native());
  if (file.bytes().size() > limits.bytes)
    fail(ErrorKind::bad_file, "{}: {} bytes, more than the {} that such a file may have", name,
         file.bytes().size(), limits.bytes);
  json::parse_options options;
  options.max_depth = limits.depth;
  boost::system::error_code error;
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  file.check();
  if (error) fail(ErrorKind::bad_file, "{}: not JSON: {}", name, error.message());
  if (!value.is_object()) fail(ErrorKind::bad_file, "{}: not a JSON object", name);
  return std::move(value.as_object());
}

}  // namespace medlar
