#include "server/app_manifest.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <cctype>
#include <optional>

#include <fmt/format.h>

#include "base/log.h"
#include "formats/all.h"
#include "server/api_error.h"
#include "server/form.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostModels = 64;
constexpr double kMostGigabytes = 16384;

// "use_mlock", "useMlock" and "USE-MLOCK" as "usemlock".
std::string letters_of(std::string_view key) {
  std::string letters;
  for (const char c : key)
    if (std::isalnum(static_cast<unsigned char>(c)))
      letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return letters;
}

// Why no app may have its way with the machine's memory.
std::optional<std::string_view> forbidden(std::string_view key) {
  const std::string letters = letters_of(key);
  if (letters.find("mlock") != std::string::npos || letters == "lockmemory" || letters == "pinmemory")
    return "locked memory cannot be given back when the machine needs it";
  if (letters.find("mmap") != std::string::npos)
    return "weights are always mapped: a copy in memory could be neither shared nor given back";
  return std::nullopt;
}

// Wherever in the manifest it stands. The parser has bounded the depth.
void refuse_forbidden(const json::value& value, const Path& path) {
  if (value.is_object()) {
    for (const auto& [key, member] : value.get_object()) {
      const Path place = path / key;
      // "mmap": true is what is done anyway, but no choice of an app.
      if (const auto reason = forbidden(key))
        fail_at(place, fmt::format("is not for an app to say: {}", *reason));
      refuse_forbidden(member, place);
    }
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.get_array().size(); ++i)
      refuse_forbidden(value.get_array()[i], path[i]);
  }
}

void only_known(const json::object& object, std::initializer_list<std::string_view> known, const Path& path) {
  for (const auto& [key, member] : object)
    if (std::ranges::find(known, std::string_view(key)) == known.end())
      fail_at(path / key, "is no field of a manifest");
}

// Without control characters, and no longer than `most`.
std::string text_of(const json::value& value, const Path& path, std::size_t most) {
  if (!value.is_string()) fail_at(path, fmt::format("must be a string, not {}", kind_name(value)));
  const std::string text(value.get_string());
  if (text.empty()) fail_at(path, "must not be empty");
  if (text.size() > most) fail_at(path, fmt::format("must not be longer than {} bytes", most));
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (std::ranges::any_of(text, control)) fail_at(path, "must not have control characters");
  return text;
}

std::string required(const json::object& object, std::string_view key, const Path& path, std::size_t most) {
  const json::value* value = object.if_contains(key);
  const Path place = path / key;
  if (!value) fail_at(place, "is missing");
  return text_of(*value, place, most);
}

std::string name_of(const json::object& object) {
  const std::string name = required(object, "name", {}, 48);
  const auto allowed = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; };
  if (!std::ranges::all_of(name, allowed) || name[0] == '.' || name[0] == '-')
    fail_at(Path{.name = "name"},
            "must be of letters, digits, \"-\", \"_\" and \".\", and begin with a letter or digit");
  return name;
}

constexpr std::size_t kModelName = 256;

const json::array& list_of(const json::value& value, const Path& path) {
  if (!value.is_array()) fail_at(path, fmt::format("must be a list, not {}", kind_name(value)));
  if (value.get_array().size() > kMostModels)
    fail_at(path, fmt::format("must not have more than {} entries", kMostModels));
  return value.get_array();
}

void add(std::vector<std::string>& models, const std::string& model) {
  if (std::ranges::find(models, model) == models.end()) models.push_back(model);
}

void read_models(const json::value& value, AppManifest& manifest) {
  const Path path{.name = "models"};
  for (std::size_t i = 0; const json::value& item : list_of(value, path)) {
    const Path place = path[i++];
    const std::string model = text_of(item, place, kModelName);
    if (std::ranges::find(manifest.models, model) != manifest.models.end()) fail_at(place, "is there twice");
    manifest.models.push_back(model);
  }
}

void read_pairs(const json::value& value, AppManifest& manifest) {
  const Path path{.name = "pairs"};
  for (std::size_t i = 0; const json::value& item : list_of(value, path)) {
    const Path place = path[i++];
    const json::object& object = object_at(item, place);
    only_known(object, {"model", "draft"}, place);
    AppManifest::Pair pair{.model = required(object, "model", place, kModelName),
                           .draft = required(object, "draft", place, kModelName)};
    if (pair.model == pair.draft) fail_at(place / "draft", "must be another model");
    if (std::ranges::find(manifest.pairs, pair.model, &AppManifest::Pair::model) != manifest.pairs.end())
      fail_at(place / "model", "has a draft already");
    manifest.pairs.push_back(std::move(pair));
  }
}

void read_requires(const json::value& value, AppManifest& manifest) {
  const Path path{.name = "requires"};
  const json::object& object = object_at(value, path);
  only_known(object, {"memoryGB"}, path);
  const json::value* gigabytes = object.if_contains("memoryGB");
  if (!gigabytes) return;
  const double number =
      JsonType<double>::read(*gigabytes, path / "memoryGB", {.min = 0.001, .max = kMostGigabytes});
  manifest.memory_bytes = static_cast<std::uint64_t>(number * 1e9);
}

void read_kv(const json::value& value, AppManifest& manifest) {
  const Path path{.name = "kv"};
  for (std::size_t i = 0; const json::value& item : list_of(value, path)) {
    const Path place = path[i++];
    const json::object& object = object_at(item, place);
    only_known(object, {"model", "type", "reason"}, place);
    AppManifest::KvException exception{.model = required(object, "model", place, kModelName),
                                       .reason = required(object, "reason", place, 500)};
    const auto type = parse_dtype(required(object, "type", place, 8));
    if (!type || !format_info(*type).is_kv()) fail_at(place / "type", "is no type that a KV cache can have");
    exception.type = *type;
    manifest.kv.push_back(std::move(exception));
  }
}

// Every model that a part of the manifest speaks of is one that the app may ask for.
void check_models(const AppManifest& manifest, bool named) {
  if (!named) return;
  const auto known = [&](const std::string& model) {
    return std::ranges::find(manifest.models, model) != manifest.models.end();
  };
  for (std::size_t i = 0; i < manifest.kv.size(); ++i)
    if (!known(manifest.kv[i].model))
      fail_at(Path{.name = "kv"}[i] / "model", "is not among the app's models");
}

}  // namespace

AppManifest parse_app_manifest(std::string_view text) try {
  if (text.size() > kMostManifestBytes)
    throw Error(ErrorKind::usage, fmt::format("a manifest has {} bytes at most", kMostManifestBytes));
  const json::value value = parse_body(text);
  if (!value.is_object()) throw Error(ErrorKind::usage, "a manifest is a JSON object");
  const json::object& object = value.get_object();
  refuse_forbidden(value, {});
  only_known(object, {"name", "models", "pairs", "requires", "priority", "kv"}, {});
  AppManifest manifest{.name = name_of(object)};
  if (const json::value* models = object.if_contains("models")) read_models(*models, manifest);
  if (const json::value* pairs = object.if_contains("pairs")) read_pairs(*pairs, manifest);
  if (const json::value* needs = object.if_contains("requires")) read_requires(*needs, manifest);
  if (const json::value* kv = object.if_contains("kv")) read_kv(*kv, manifest);
  if (const json::value* priority = object.if_contains("priority")) {
    const std::string name = JsonType<std::string>::read(*priority, Path{.name = "priority"},
                                                         {.choices = {"interactive", "background"}});
    manifest.priority = name == "background" ? Priority::background : Priority::interactive;
  }
  const bool named = !manifest.models.empty() || !manifest.pairs.empty();
  for (const AppManifest::Pair& pair : manifest.pairs) {
    add(manifest.models, pair.model);
    add(manifest.models, pair.draft);
  }
  check_models(manifest, named);
  return manifest;
} catch (const ApiError& error) {
  throw Error(ErrorKind::usage, error.what(), error.hint());
}

json::object to_json(const AppManifest& manifest) {
  json::object object{{"name", manifest.name},
                      {"priority", manifest.priority == Priority::background ? "background" : "interactive"}};
  if (!manifest.models.empty()) {
    json::array& models = object["models"].emplace_array();
    for (const std::string& model : manifest.models) models.emplace_back(model);
  }
  if (!manifest.pairs.empty()) {
    json::array& pairs = object["pairs"].emplace_array();
    for (const auto& pair : manifest.pairs) pairs.push_back({{"model", pair.model}, {"draft", pair.draft}});
  }
  if (manifest.memory_bytes > 0)
    object["requires"] = {{"memoryGB", static_cast<double>(manifest.memory_bytes) / 1e9}};
  if (!manifest.kv.empty()) {
    json::array& kv = object["kv"].emplace_array();
    for (const auto& exception : manifest.kv)
      kv.push_back({{"model", exception.model},
                    {"type", format_info(exception.type).name},
                    {"reason", exception.reason}});
  }
  return object;
}

}  // namespace medlar::server
