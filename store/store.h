// The model store: names to verified files on this disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/catalogue.h"
#include "store/download.h"
#include "store/hugging_face.h"
#include "store/layout.h"
#include "store/lock.h"
#include "store/manifest.h"
#include "store/model_ref.h"
#include "store/progress.h"
#include "store/pypi.h"

namespace medlar::store {

struct StoreOptions {
  std::filesystem::path root;  // docs/store.md describes what lies there
  HubOptions hub;
  PipOptions pip;
  DownloadOptions download;
};

// From MEDLAR_HOME (and what default_root() uses), HF_ENDPOINT and HF_TOKEN.
// Throws Error(usage) on values that cannot be.
StoreOptions options_from_environment();

struct ModelFile {
  std::filesystem::path path;
  Digest digest;
  std::uint64_t bytes = 0;
  std::string name;  // at its source
};

struct InstalledModel {
  std::string name;          // "smollm2:135m"
  std::string source;        // "hf.co/user/repo", "pypi:PACKAGE" or a URL
  std::string architecture;  // "llama"; empty: unknown
  std::string quant;         // "Q4_K_M"; empty: unknown
  std::string created;       // UTC, "2026-11-21T04:06:00Z"
  std::uint64_t bytes = 0;
  std::vector<ModelFile> files;  // the parts, in order
  std::string problem;           // why it cannot be used: an unreadable manifest, a missing file; empty: none
  std::filesystem::path manifest;
};

struct PullOptions {
  ProgressFn progress;
  const std::atomic<bool>* cancel = nullptr;
  bool offline = false;  // ask nobody: only what is here already
};

struct PullResult {
  InstalledModel model;
  bool was_installed = false;      // nothing had to be fetched
  std::vector<std::string> notes;  // one line each: sources that failed, why this build cannot run the model
};

// A model that may be opened. Move-only: while it lives, remove() refuses to delete its files.
struct ResolvedModel {
  std::filesystem::path path;  // of the GGUF file, or of the first part with the others beside it
  std::string name;            // to show
  std::vector<FileLock> in_use;
};

struct VerifyOptions {
  ProgressFn progress;
  const std::atomic<bool>* cancel = nullptr;
  bool repair = true;  // fetch bad files again
};

enum class FileState : std::uint8_t { good, missing, damaged, repaired };
std::string_view name(FileState state);

struct VerifyReport {
  struct File {
    std::string name;
    Digest digest;
    std::uint64_t bytes = 0;
    FileState state = FileState::good;
  };
  std::vector<File> files;
  bool good() const;  // now
};

struct GcReport {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

// Many processes may use one store at the same time. Never prints. No method leaves a model half changed.
class Store {
 public:
  // Touches nothing until it must.
  explicit Store(StoreOptions options);

  const StoreOptions& options() const { return options_; }

  // Makes `reference` present. Catalogue entries try their sources in order: one that does not answer, lacks
  // the file or offers another one is passed over with a note. Two calls for one file, in one process or
  // several, share the work. Throws Error: usage, not_found (with the nearest names), network, bad_file,
  // unsupported, no_space, io, cancelled; an interrupted pull continues where it was when it is asked for
  // again.
  PullResult pull(std::string_view reference, const PullOptions& options = {});

  // All installed models by name, those with problems too.
  std::vector<InstalledModel> list() const;

  // By any spelling of its name; hf.co names and families match what is installed of them.
  std::optional<InstalledModel> find(std::string_view reference) const;

  // Whether there is something to pull: `reference` is a name or an address, not installed, and means no file
  // that is here.
  bool can_pull(std::string_view reference) const;

  // What to open for `reference`: a local file, the one model in a local folder, or an installed model. Asks
  // nobody. Throws Error(not_found) whose hint says how to pull it or which names are near; usage; bad_file.
  ResolvedModel resolve(std::string_view reference) const;

  // Deletes the model and the files no other model shares; returns the bytes freed.
  // Throws Error: not_found; io while a process has it loaded.
  std::uint64_t remove(std::string_view reference);

  // Gives an installed model another name as well: a plain one, like those of the catalogue. What has that
  // name already gives it up. Throws Error: not_found, usage, io, no_space.
  void copy(std::string_view reference, std::string_view name);

  // Hashes every file of the model again.
  VerifyReport verify(std::string_view reference, const VerifyOptions& options = {});

  // Deletes files that belong to no model, and with `partial` also downloads that were begun and are not
  // going on.
  GcReport collect_garbage(bool partial = false);

 private:
  InstalledModel load(const std::filesystem::path& manifest) const;
  std::vector<std::string> known_names() const;
  [[noreturn]] void fail_unknown(const ModelRef& ref) const;

  StoreOptions options_;
  Layout layout_;
};

}  // namespace medlar::store
