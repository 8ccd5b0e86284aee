// Settings that medlar tune found, kept for each machine and model in tuned.db.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/host.h"
#include "base/log.h"
#include "engine/engine.h"
#include "engine/plan.h"
#include "store/database.h"
#include "tune/search.h"

namespace medlar::host {

// The machine whichever threads are used: processor, threads that it has, memory.
std::string tuned_machine(const HostInfo& host);

// A model as far as its speed goes: architecture, shapes, and types with their bytes. Models that differ in
// nothing but the values of their weights are one.
std::string tuned_model(const ModelDescription& description);

struct TunedEntry {
  std::string machine, model;   // as above
  Device device = Device::cpu;  // that was asked for; automatic: what a machine with a GPU takes by itself
  std::string name;             // of the model, to show
  tune::Settings settings;
  std::string created;  // UTC, "2026-11-21T04:06:00Z"
  double gain = 1;      // times as fast as the defaults, in the median
};

class TunedStore {
 public:
  // The file in `folder`. Throws what Database throws.
  explicit TunedStore(const std::filesystem::path& folder);
  // The same; a damaged file is set aside and `log` told where it is.
  TunedStore(const std::filesystem::path& folder, const Logger& log);

  // In place of what is kept for this machine, model and device. Throws Error(io, no_space), as all of these.
  void put(const TunedEntry& entry);
  // Throws Error(bad_file) where what is kept makes no sense.
  std::optional<TunedEntry> find(std::string_view machine, std::string_view model, Device device);
  std::vector<TunedEntry> list();  // by name, then machine
  // False: there was none.
  bool forget(std::string_view machine, std::string_view model, Device device);

 private:
  store::Database database_;
};

// For those who can do without: the settings of a model, and else perhaps why what is there cannot be read.
struct KeptSettings {
  std::optional<tune::Settings> settings;
  std::string problem;
};
// `device` is what is asked for; where automatic comes to the processor alone, that.
KeptSettings kept_settings(const std::filesystem::path& folder, const std::filesystem::path& model,
                           Device device) noexcept;

// Whose settings are kept where this one is asked for: automatic only where it may mean a GPU.
Device tuned_device(Planner& planner, Device device);

// Whether `folder` has a file of such settings.
bool has_tuned(const std::filesystem::path& folder);

}  // namespace medlar::host
