#include "host/tuned.h"

#include <array>
#include <cmath>
#include <exception>
#include <system_error>

#include <fmt/format.h>

#include "base/error.h"
#include "formats/all.h"
#include "host/calibration.h"

namespace medlar::host {
namespace {

constexpr std::array<std::string_view, 2> kSteps{R"sql(
  CREATE TABLE tuned (
    machine TEXT NOT NULL,
    model TEXT NOT NULL,
    name TEXT NOT NULL,
    threads INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    kv_type TEXT NOT NULL,
    created TEXT NOT NULL,
    gain_millionths INTEGER NOT NULL,
    PRIMARY KEY (machine, model)
  ) WITHOUT ROWID;
)sql",
                                                 R"sql(
  CREATE TABLE tuned_by_device (
    machine TEXT NOT NULL,
    model TEXT NOT NULL,
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    threads INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    kv_type TEXT NOT NULL,
    gpu_layers INTEGER NOT NULL,
    created TEXT NOT NULL,
    gain_millionths INTEGER NOT NULL,
    PRIMARY KEY (machine, model, device)
  ) WITHOUT ROWID;
  INSERT INTO tuned_by_device
    SELECT machine, model, 'cpu', name, threads, batch, kv_type, -1, created, gain_millionths FROM tuned;
  DROP TABLE tuned;
  ALTER TABLE tuned_by_device RENAME TO tuned;
)sql"};
constexpr store::Database::Schema kSchema{.steps = kSteps};
constexpr std::string_view kColumns =
    "machine, model, device, name, threads, batch, kv_type, gpu_layers, created, gain_millionths";
constexpr std::int64_t kMostThreads = 4096, kMostBatch = 1 << 20, kMostLayers = 1 << 16;
constexpr std::int64_t kOwnLayers = -1;  // as many as the engine takes

std::filesystem::path file_in(const std::filesystem::path& folder) { return folder / "tuned.db"; }

// Throws Error(bad_file): the file may be anybody's.
std::optional<DType> type_named(std::string_view name) {
  if (name.empty()) return std::nullopt;
  const std::optional<DType> type = parse_dtype(name);
  if (!type || !format_info(*type).is_kv())
    fail(ErrorKind::bad_file, "tuned.db: the KV cache cannot be \"{}\"", printable(name));
  return type;
}

Device device_named(std::string_view name) {
  try {
    return parse_device(name);
  } catch (const Error&) {
    fail(ErrorKind::bad_file, "tuned.db: there is no device \"{}\"", printable(name));
  }
}

int within(std::int64_t value, std::int64_t least, std::int64_t most, std::string_view what) {
  if (value < least || value > most) fail(ErrorKind::bad_file, "tuned.db: {} {}", value, what);
  return static_cast<int>(value);
}

std::optional<int> layers_of(std::int64_t value) {
  if (value == kOwnLayers) return std::nullopt;
  return within(value, 0, kMostLayers, "layers on a GPU");
}

TunedEntry read_entry(const store::Statement& row) {
  return {.machine = std::string(row.text(0)),
          .model = std::string(row.text(1)),
          .device = device_named(row.text(2)),
          .name = std::string(row.text(3)),
          .settings = {.threads = within(row.integer(4), 1, kMostThreads, "threads"),
                       .batch = within(row.integer(5), 1, kMostBatch, "tokens at once"),
                       .kv_type = type_named(row.text(6)),
                       .gpu_layers = layers_of(row.integer(7))},
          .created = std::string(row.text(8)),
          .gain = static_cast<double>(row.integer(9)) / 1e6};
}

}  // namespace

std::string tuned_machine(const HostInfo& host) { return machine_identity(host, host.default_threads()); }

std::string tuned_model(const ModelDescription& d) {
  std::string text = fmt::format("{}, {} layers of {}, {} and {} heads of {}, vocabulary of {}",
                                 d.architecture, d.layers, d.dim, d.heads, d.kv_heads, d.head_dim, d.vocab);
  for (const ModelDescription::Type& type : d.types)
    text += fmt::format(", {} {} in {} bytes", type.tensors, format_info(type.type).name, type.bytes);
  return text;
}

TunedStore::TunedStore(const std::filesystem::path& folder) : database_(file_in(folder), kSchema) {}
TunedStore::TunedStore(const std::filesystem::path& folder, const Logger& log)
    : database_(store::open_or_begin_anew(file_in(folder), kSchema, log)) {}

void TunedStore::put(const TunedEntry& e) {
  const std::string_view type = e.settings.kv_type ? format_info(*e.settings.kv_type).name : "";
  database_
      .prepare(
          fmt::format("INSERT OR REPLACE INTO tuned ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", kColumns))
      .bind(std::string_view(e.machine), std::string_view(e.model), to_string(e.device),
            std::string_view(e.name), std::int64_t{e.settings.threads}, std::int64_t{e.settings.batch}, type,
            e.settings.gpu_layers ? std::int64_t{*e.settings.gpu_layers} : kOwnLayers,
            std::string_view(e.created), static_cast<std::int64_t>(std::llround(e.gain * 1e6)))
      .run();
}

std::optional<TunedEntry> TunedStore::find(std::string_view machine, std::string_view model, Device device) {
  store::Statement row = database_.prepare(
      fmt::format("SELECT {} FROM tuned WHERE machine = ? AND model = ? AND device = ?", kColumns));
  row.bind(machine, model, to_string(device));
  if (!row.step()) return std::nullopt;
  return read_entry(row);
}

std::vector<TunedEntry> TunedStore::list() {
  store::Statement rows =
      database_.prepare(fmt::format("SELECT {} FROM tuned ORDER BY name, machine, model, device", kColumns));
  std::vector<TunedEntry> entries;
  while (rows.step()) entries.push_back(read_entry(rows));
  return entries;
}

bool TunedStore::forget(std::string_view machine, std::string_view model, Device device) {
  database_.prepare("DELETE FROM tuned WHERE machine = ? AND model = ? AND device = ?")
      .bind(machine, model, to_string(device))
      .run();
  return database_.changes() > 0;
}

bool has_tuned(const std::filesystem::path& folder) {
  std::error_code error;
  return std::filesystem::exists(file_in(folder), error);
}

Device tuned_device(Planner& planner, Device device) {
  if (device != Device::automatic || planner.choices({}).size() > 1) return device;
  return Device::cpu;
}

KeptSettings kept_settings(const std::filesystem::path& folder, const std::filesystem::path& model,
                           Device device) noexcept {
  try {
    if (!has_tuned(folder)) return {};
    TunedStore kept(folder);
    Planner planner(model);
    const std::string machine = tuned_machine(probe()), key = tuned_model(planner.description());
    auto entry = kept.find(machine, key, device);
    // Whether there is a GPU is only asked where it matters: opening one takes a while.
    if (!entry && device == Device::automatic) {
      entry = kept.find(machine, key, Device::cpu);
      if (entry && tuned_device(planner, device) != Device::cpu) entry.reset();
    }
    return {.settings = entry ? std::optional(entry->settings) : std::nullopt};
  } catch (const std::exception& e) {
    return {.problem = e.what()};
  }
}

}  // namespace medlar::host
