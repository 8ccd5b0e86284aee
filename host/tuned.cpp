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

constexpr std::array<std::string_view, 1> kSteps{R"sql(
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
)sql"};
constexpr store::Database::Schema kSchema{.steps = kSteps};
constexpr std::string_view kColumns =
    "machine, model, name, threads, batch, kv_type, created, gain_millionths";
constexpr std::int64_t kMostThreads = 4096, kMostBatch = 1 << 20;

std::filesystem::path file_in(const std::filesystem::path& folder) { return folder / "tuned.db"; }

// Throws Error(bad_file): the file may be anybody's.
std::optional<DType> type_named(std::string_view name) {
  if (name.empty()) return std::nullopt;
  const std::optional<DType> type = parse_dtype(name);
  if (!type || !format_info(*type).is_kv())
    fail(ErrorKind::bad_file, "tuned.db: the KV cache cannot be \"{}\"", printable(name));
  return type;
}

int within(std::int64_t value, std::int64_t most, std::string_view what) {
  if (value < 1 || value > most) fail(ErrorKind::bad_file, "tuned.db: {} {}", value, what);
  return static_cast<int>(value);
}

TunedEntry read_entry(const store::Statement& row) {
  return {.machine = std::string(row.text(0)),
          .model = std::string(row.text(1)),
          .name = std::string(row.text(2)),
          .settings = {.threads = within(row.integer(3), kMostThreads, "threads"),
                       .batch = within(row.integer(4), kMostBatch, "tokens at once"),
                       .kv_type = type_named(row.text(5))},
          .created = std::string(row.text(6)),
          .gain = static_cast<double>(row.integer(7)) / 1e6};
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
      .prepare(fmt::format("INSERT OR REPLACE INTO tuned ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", kColumns))
      .bind(std::string_view(e.machine), std::string_view(e.model), std::string_view(e.name),
            std::int64_t{e.settings.threads}, std::int64_t{e.settings.batch}, type,
            std::string_view(e.created), static_cast<std::int64_t>(std::llround(e.gain * 1e6)))
      .run();
}

std::optional<TunedEntry> TunedStore::find(std::string_view machine, std::string_view model) {
  store::Statement row =
      database_.prepare(fmt::format("SELECT {} FROM tuned WHERE machine = ? AND model = ?", kColumns));
  row.bind(machine, model);
  if (!row.step()) return std::nullopt;
  return read_entry(row);
}

std::vector<TunedEntry> TunedStore::list() {
  store::Statement rows =
      database_.prepare(fmt::format("SELECT {} FROM tuned ORDER BY name, machine, model", kColumns));
  std::vector<TunedEntry> entries;
  while (rows.step()) entries.push_back(read_entry(rows));
  return entries;
}

bool TunedStore::forget(std::string_view machine, std::string_view model) {
  database_.prepare("DELETE FROM tuned WHERE machine = ? AND model = ?").bind(machine, model).run();
  return database_.changes() > 0;
}

bool has_tuned(const std::filesystem::path& folder) {
  std::error_code error;
  return std::filesystem::exists(file_in(folder), error);
}

KeptSettings kept_settings(const std::filesystem::path& folder, const std::filesystem::path& model) noexcept {
  try {
    if (!has_tuned(folder)) return {};
    const auto entry = TunedStore(folder).find(tuned_machine(probe()), tuned_model(describe(model)));
    return {.settings = entry ? std::optional(entry->settings) : std::nullopt};
  } catch (const std::exception& e) {
    return {.problem = e.what()};
  }
}

}  // namespace medlar::host
