#include "store/manifest.h"

#include <boost/json.hpp>

#include "base/atomic_file.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"

namespace medlar::store {
namespace {

namespace json = boost::json;

constexpr std::int64_t kVersion = 1;
constexpr std::uint64_t kMaxBytes = 1 << 20;
constexpr std::size_t kMaxFiles = 10'000;

[[noreturn]] void reject(std::string_view source, std::string_view problem) {
  throw Error(ErrorKind::bad_file, fmt::format("{}: {}", source, problem),
              "remove the model and pull it again: medlar rm NAME, medlar pull NAME");
}

const json::value& field(const json::object& object, std::string_view key, std::string_view source) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) reject(source, fmt::format("no field \"{}\"", key));
  return *value;
}

std::string text(const json::object& object, std::string_view key, std::string_view source) {
  const json::value& value = field(object, key, source);
  if (!value.is_string()) reject(source, fmt::format("field \"{}\" is not a string", key));
  return std::string(value.get_string());
}

std::uint64_t number(const json::object& object, std::string_view key, std::string_view source) {
  const json::value& value = field(object, key, source);
  if (value.is_uint64()) return value.get_uint64();
  if (value.is_int64() && value.get_int64() >= 0) return static_cast<std::uint64_t>(value.get_int64());
  reject(source, fmt::format("field \"{}\" is not a whole number >= 0", key));
}

ManifestFile parse_file(const json::value& value, std::string_view source) {
  if (!value.is_object()) reject(source, "an entry of \"files\" is not an object");
  const json::object& object = value.get_object();
  ManifestFile file{Digest::require(text(object, "digest", source), source), number(object, "bytes", source),
                    text(object, "name", source)};
  if (!is_plain_file_name(file.name)) {
    reject(source, fmt::format("not a file name: \"{}\"", printable(file.name, 80)));
  }
  return file;
}

}  // namespace

bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

std::uint64_t Manifest::bytes() const {
  std::uint64_t sum = 0;
  for (const ManifestFile& file : files) sum = checked_add(sum, file.bytes, name);
  return sum;
}

std::string to_json(const Manifest& manifest) {
  json::array files;
  for (const ManifestFile& file : manifest.files) {
    files.push_back(json::object{{"digest", "sha256:" + file.digest.hex()},
                                 {"bytes", file.bytes},
                                 {"name", file.name},
                                 {"role", "model"}});
  }
  const json::object object{{"version", kVersion},       {"name", manifest.name},
                            {"source", manifest.source}, {"architecture", manifest.architecture},
                            {"quant", manifest.quant},   {"created", manifest.created},
                            {"files", std::move(files)}};
  return json::serialize(object) + "\n";
}

Manifest parse_manifest(std::string_view source_text, std::string_view source) {
  boost::system::error_code error;
  const json::value value = json::parse(source_text, error);
  if (error) reject(source, "not JSON: " + error.message());
  if (!value.is_object()) reject(source, "not a JSON object");
  const json::object& object = value.get_object();
  if (number(object, "version", source) != kVersion) reject(source, "written by another version of Medlar");
  Manifest manifest;
  manifest.name = text(object, "name", source);
  manifest.source = text(object, "source", source);
  manifest.architecture = text(object, "architecture", source);
  manifest.quant = text(object, "quant", source);
  manifest.created = text(object, "created", source);
  const json::value& files = field(object, "files", source);
  if (!files.is_array()) reject(source, "field \"files\" is not an array");
  if (files.get_array().empty() || files.get_array().size() > kMaxFiles) {
    reject(source, fmt::format("{} files", files.get_array().size()));
  }
  for (const json::value& file : files.get_array()) manifest.files.push_back(parse_file(file, source));
  static_cast<void>(manifest.bytes());
  return manifest;
}

Manifest read_manifest(const std::filesystem::path& path) {
  std::string content;
  const std::string source = printable(path.native());
  read_file(path, std::nullopt, [&](std::span<const std::byte> block) {
    if (content.size() + block.size() > kMaxBytes) reject(source, "larger than 1 MiB");
    content.append(reinterpret_cast<const char*>(block.data()), block.size());
  });
  return parse_manifest(content, source);
}

void write_manifest(const std::filesystem::path& path, const Manifest& manifest) {
  AtomicFile file(path);
  const std::string content = to_json(manifest);
  file.write(std::as_bytes(std::span(content)));
  file.commit();
}

}  // namespace medlar::store
