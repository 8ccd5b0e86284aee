// Safetensors on disk: one file, or the shards that an index names.
#include <algorithm>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/json_file.h"
#include "checkpoint/safetensors.h"

namespace medlar::safetensors {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view kSingle = "model.safetensors", kIndex = "model.safetensors.index.json";
constexpr std::uint64_t kMaxIndexBytes = 64 << 20;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The shards that an index names, each tensor's in its entry: {"weight_map": {TENSOR: FILE}}.
const json::object& weight_map(const json::object& index, std::string_view source) {
  const json::value* map = index.if_contains("weight_map");
  if (!map || !map->is_object()) fail(ErrorKind::bad_file, "{}: weight_map is no object", source);
  return map->as_object();
}

// A name of a file in the index's own folder.
std::string shard_name(const json::key_value_pair& entry, std::string_view source) {
  if (!entry.value().is_string())
    fail(ErrorKind::bad_file, "{}: weight_map: {} is no file name", source, printable(entry.key()));
  const std::string name(entry.value().as_string());
  const bool is_plain = name.find_first_of(std::string_view("/\\\0", 3)) == name.npos &&
                        name.ends_with(".safetensors") && printable(name) == name;
  if (!is_plain)
    fail(ErrorKind::bad_file, "{}: weight_map: {} is said to be in {}, which is no shard of this folder",
         source, printable(entry.key()), printable(name));
  return name;
}

}  // namespace

Files Files::open(const fs::path& path) {
  Files files;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    files.add(path);
    files.sort(path.native());
    return files;
  }
  const fs::path index_path = path / kIndex;
  if (!is_there(index_path)) {
    if (!is_there(path / kSingle))
      throw Error(ErrorKind::not_found,
                  fmt::format("{}: has neither {} nor {}", printable(path.native()), kSingle, kIndex),
                  "give the folder of a model as it is published");
    files.add(path / kSingle);
    files.sort(path.native());
    return files;
  }
  const std::string source = printable(index_path.native());
  const json::object index = read_json_file(index_path, {.bytes = kMaxIndexBytes});
  const json::object& map = weight_map(index, source);
  std::set<std::string> shards;
  for (const json::key_value_pair& entry : map) shards.insert(shard_name(entry, source));
  for (const std::string& shard : shards) {
    if (!is_there(path / shard))
      throw Error(ErrorKind::not_found, fmt::format("{}: shard {} is missing", source, shard),
                  "put all files of the model into one folder");
    files.add(path / shard);
  }
  files.sort(path.native());
  for (const json::key_value_pair& entry : map)
    if (!files.find(std::string_view(entry.key())))
      fail(ErrorKind::bad_file, "{}: tensor {} is in none of the shards", source, printable(entry.key()));
  if (files.tensors_.size() != map.size())
    fail(ErrorKind::bad_file, "{}: names {} tensors, but the shards hold {}", source, map.size(),
         files.tensors_.size());
  return files;
}

void Files::add(const fs::path& path) {
  MappedFile& file = files_.emplace_back(path);
  std::vector<Tensor> parsed = parse(file.bytes(), path.native());
  file.check();
  tensors_.insert(tensors_.end(), std::move_iterator(parsed.begin()), std::move_iterator(parsed.end()));
}

void Files::sort(std::string_view source) {
  std::ranges::sort(tensors_, {}, &Tensor::name);
  const auto twin = std::ranges::adjacent_find(tensors_, {}, &Tensor::name);
  if (twin != tensors_.end())
    fail(ErrorKind::bad_file, "{}: tensor {} is in two shards", printable(source), twin->name);
}

const Tensor* Files::find(std::string_view name) const {
  const auto at = std::ranges::lower_bound(tensors_, name, {}, &Tensor::name);
  return at == tensors_.end() || at->name != name ? nullptr : &*at;
}

bool is_model_folder(const fs::path& folder) {
  return is_there(folder / "config.json") && (is_there(folder / kIndex) || is_there(folder / kSingle));
}

}  // namespace medlar::safetensors
