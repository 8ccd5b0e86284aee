#include "store/hugging_face.h"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/gguf.h"
#include "store/manifest.h"
#include "store/quant.h"
#include "store/url.h"

namespace medlar::store {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxTreeBytes = 32 << 20;

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::optional<std::uint64_t> number(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_uint64()) return value->get_uint64();
  if (value->is_int64() && value->get_int64() >= 0) return static_cast<std::uint64_t>(value->get_int64());
  return std::nullopt;
}

std::string_view text(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

bool is_model_file(std::string_view path) {
  const std::string_view name = file_name(path);
  return name.ends_with(".gguf") && name.find("mmproj") == std::string_view::npos &&
         name.find("imatrix") == std::string_view::npos;
}

// Models of a repository: the files of one are the parts of a split, keyed by the path of part 1.
std::map<std::string, std::vector<HubFile>> group_parts(std::span<const HubFile> files) {
  std::map<std::string, std::vector<HubFile>> models;
  for (const HubFile& file : files) {
    if (!is_model_file(file.path)) continue;
    const std::string_view name = file_name(file.path);
    const std::string folder = file.path.substr(0, file.path.size() - name.size());
    const auto split = gguf::SplitName::parse(name);
    models[folder + (split ? split->file_name(1) : std::string(name))].push_back(file);
  }
  for (auto& [path, parts] : models) std::ranges::sort(parts, {}, &HubFile::path);
  return models;
}

std::string quant_of(std::string_view path) {
  if (auto quant = quant_in_file_name(file_name(path))) return *quant;
  return quant_in_file_name(path).value_or("");  // some repositories have a folder per quantization
}

void check_parts(const std::string& first, const std::vector<HubFile>& parts) {
  const auto split = gguf::SplitName::parse(file_name(first));
  const std::size_t count = split ? split->count : 1;
  if (parts.size() == count) return;
  fail(ErrorKind::bad_file, "{}: the repository holds {} of its {} parts", printable(first), parts.size(),
       count);
}

std::string resolve_address(const ModelRef& ref, const HubOptions& hub, std::string_view path) {
  std::string out = fmt::format("{}/{}/resolve/{}", hub.endpoint, ref.target,
                                encode_segment(ref.revision.empty() ? "main" : ref.revision));
  while (!path.empty()) {
    const auto slash = path.find('/');
    out += '/';
    out += encode_segment(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return out;
}

// The paths of all parts of the model that `file` belongs to.
std::vector<std::string> parts_of(const std::string& file) {
  const std::string_view name = file_name(file);
  const auto split = gguf::SplitName::parse(name);
  if (!split) return {file};
  std::vector<std::string> out;
  const std::string folder = file.substr(0, file.size() - name.size());
  for (std::uint32_t part = 1; part <= split->count; ++part) out.push_back(folder + split->file_name(part));
  return out;
}

// A busy hub is asked again; one that cannot be reached is not, since another source may be at hand.
std::string ask(const HttpRequest& request, const HttpOptions& http, const ProgressMeter& meter) {
  using namespace std::chrono_literals;
  constexpr int kAttempts = 3;
  for (int attempt = 1;; ++attempt) {
    try {
      return http_get_text(request, http, kMaxTreeBytes);
    } catch (const HttpError& e) {
      if (!e.details().transient || e.details().status == 0 || attempt == kAttempts) throw;
    }
    const auto until = std::chrono::steady_clock::now() + attempt * 1s;
    while (std::chrono::steady_clock::now() < until) {
      meter.check_cancelled();
      std::this_thread::sleep_for(50ms);
    }
  }
}

}  // namespace

std::vector<HubFile> parse_hub_tree(std::string_view source, std::string_view repository) {
  boost::system::error_code error;
  const json::value value = json::parse(source, error);
  if (error || !value.is_array())
    fail(ErrorKind::bad_file, "{}: the list of files is not a JSON array", repository);
  std::vector<HubFile> out;
  for (const json::value& entry : value.get_array()) {
    if (!entry.is_object() || text(entry.get_object(), "type") != "file") continue;
    const json::object& object = entry.get_object();
    HubFile file{.path = std::string(text(object, "path")), .bytes = number(object, "size").value_or(0)};
    if (!is_plain_file_name(file_name(file.path)) || file.path.starts_with('/') ||
        ("/" + file.path).find("/../") != std::string::npos) {
      fail(ErrorKind::bad_file, "{}: lists the impossible path \"{}\"", repository,
           printable(file.path, 120));
    }
    const json::value* lfs = object.if_contains("lfs");
    if (lfs != nullptr && lfs->is_object()) {
      file.digest = Digest::require(text(lfs->get_object(), "oid"),
                                    fmt::format("{}: {}", repository, printable(file.path)));
      file.bytes = number(lfs->get_object(), "size").value_or(file.bytes);
    }
    out.push_back(std::move(file));
  }
  return out;
}

std::vector<HubFile> select_model(std::span<const HubFile> files, std::string_view quant,
                                  std::string_view repository) {
  const auto models = group_parts(files);
  if (models.empty()) {
    throw Error(ErrorKind::not_found, fmt::format("{}: holds no GGUF model", repository),
                "look for a repository of the same model whose name ends in -GGUF");
  }
  std::map<std::string, const std::vector<HubFile>*> by_quant;
  std::string available;
  for (const auto& [path, parts] : models) {
    const std::string name = quant_of(path);
    if (!by_quant.emplace(name, &parts).second || name.empty()) continue;
    available += (available.empty() ? "" : ", ") + name;
  }
  const std::vector<HubFile>* chosen = nullptr;
  const auto choose = [&](std::string_view name) {
    const auto found = by_quant.find(std::string(name));
    if (chosen == nullptr && found != by_quant.end()) chosen = found->second;
  };
  if (!quant.empty()) {
    choose(quant);
    choose(fmt::format("UD-{}", quant));
    if (chosen == nullptr) {
      throw Error(ErrorKind::not_found, fmt::format("{}: has no {}", repository, quant),
                  available.empty() ? "leave the quantization away" : "it has " + available);
    }
  } else {
    for (const std::string_view preferred : preferred_quants()) choose(preferred);
    if (chosen == nullptr) chosen = &models.begin()->second;
  }
  const std::string_view name = file_name(chosen->front().path);
  const auto split = gguf::SplitName::parse(name);
  check_parts(split ? split->file_name(1) : std::string(name), *chosen);
  return *chosen;
}

HubModel find_on_hub(const ModelRef& ref, const HubOptions& hub, const HttpOptions& http,
                     ProgressMeter& meter) {
  const std::string repository = "hf.co/" + ref.target;
  meter.begin(Phase::resolving, repository, 0, 0);
  HubModel model;
  if (!ref.file.empty()) {  // the hub tells digest and size with the file itself
    for (const std::string& path : parts_of(ref.file)) {
      model.files.push_back({.url = resolve_address(ref, hub, path),
                             .name = std::string(file_name(path)),
                             .bearer = hub.token});
    }
    model.quant = quant_of(ref.file);
    return model;
  }
  const HttpRequest request{
      .url = fmt::format("{}/api/models/{}/tree/{}?recursive=true", hub.endpoint, ref.target,
                         encode_segment(ref.revision.empty() ? "main" : ref.revision)),
      .bearer = hub.token,
      .cancel = meter.cancel()};
  const auto listed = parse_hub_tree(ask(request, http, meter), repository);
  for (const HubFile& file : select_model(listed, ref.quant, repository)) {
    model.files.push_back({.url = resolve_address(ref, hub, file.path),
                           .name = std::string(file_name(file.path)),
                           .bearer = hub.token,
                           .digest = file.digest,
                           .bytes = file.bytes});
  }
  model.quant = quant_of(model.files.front().name);
  if (model.quant.empty()) model.quant = ref.quant;
  return model;
}

}  // namespace medlar::store
