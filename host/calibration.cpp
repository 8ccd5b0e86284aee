#include "host/calibration.h"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "base/cpu_features.h"
#include "base/team.h"
#include "kernels/cpu/peak.h"
#include "kernels/cpu/table.h"
#include "tune/decode_pace.h"
#include "tune/machine_limits.h"
#include "tune/statistics.h"

namespace medlar::host {
namespace {

// Shares of the peak that products of a prompt reach (docs/performance.md).
constexpr double kProductShare = 0.41, kTileShare = 0.30, kFloatShare = 0.60;
constexpr double kLayerSeconds = 40e-6;  // what lies between a layer's products

constexpr int kDecodeTurns = 8;  // for each peak, which takes ten times as long

constexpr std::size_t kLargestFile = std::size_t{1} << 20;

kernels::CpuTable cpu_table() {
  const CpuFeatures features = detect_cpu_features();
  const char* wanted = std::getenv("MEDLAR_CPU");
  return kernels::CpuTable(choose_cpu_level(features, wanted ? wanted : ""), features);
}

// The kernel that products of a batch with quantized weights end in.
const kernels::KernelEntry& product_leaf(const kernels::CpuTable& table) {
  using kernels::KernelOp;
  for (const KernelOp op : {KernelOp::unpack_tiles, KernelOp::batch_dot})
    if (table.has(op, DType::q4_k)) return table.find(op, DType::q4_k);
  return table.rows_dot(DType::q4_k, false);
}

std::filesystem::path file_in(const std::filesystem::path& folder) { return folder / "calibration.json"; }

// An empty object where there is nothing that can be read.
boost::json::object read_machines(const std::filesystem::path& folder) {
  std::ifstream in(file_in(folder), std::ios::binary);
  if (!in) return {};
  std::string text(kLargestFile, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  return error || !value.is_object() ? boost::json::object{} : value.as_object();
}

double number(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  if (!value || !value->is_number()) return 0;
  const double d = value->to_number<double>();
  return std::isfinite(d) && d > 0 ? d : 0;
}

bool flag(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value && value->is_bool() && value->as_bool();
}

}  // namespace

Rates rates_of(const Calibration& c) {
  const double products = c.products * (c.tiles ? kTileShare : kProductShare);
  return {.read = c.read,
          .attend = c.attend,
          .products = products,
          .plain_products = c.tiles ? products : c.floats * kFloatShare,
          .layer_seconds = kLayerSeconds};
}

Calibration calibrate(const CalibrationOptions& options) {
  Team team({.threads = options.threads});
  const kernels::CpuTable table = cpu_table();
  tune::DecodePace decode(team, table);
  const bool tiles = table.has(kernels::KernelOp::unpack_tiles, DType::q4_k);
  const kernels::PeakLoops loops = kernels::peak_loops(product_leaf(table).isa);

  // In turn, so that what else the machine does slows all of them alike.
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  std::vector<double> products, floats;
  for (double spent = 0; products.empty() || spent < 3 * options.seconds;) {
    for (int i = 0; i < kDecodeTurns; ++i) decode.turn();
    products.push_back(tune::product_peak(team, loops.quantized).value_or(0));
    floats.push_back(tune::product_peak(team, loops.f32).value_or(0));
    spent = std::chrono::duration<double>(Clock::now() - start).count();
    if (options.progress) options.progress(std::min(1.0, spent / std::max(3 * options.seconds, 1e-3)));
  }
  const tune::DecodeRates rates = decode.rates();
  Calibration result{.read = rates.read,
                     .attend = rates.attend,
                     .products = tune::summarize(std::move(products)).median,
                     .floats = tune::summarize(std::move(floats)).median,
                     .tiles = tiles,
                     .thorough = options.seconds >= 5};
  if (result.products == 0) result.products = result.floats;
  if (result.floats == 0) result.floats = result.products;
  return result;
}

std::string machine_identity(const HostInfo& host, int threads) {
  const char* forced = std::getenv("MEDLAR_CPU");
  return fmt::format("{}{}, {} threads, {} GB", host.cpu, forced ? fmt::format(" as {}", forced) : "",
                     threads, (host.memory_bytes + 500'000'000) / 1'000'000'000);
}

std::optional<Calibration> load_calibration(const std::filesystem::path& folder, const std::string& machine) {
  const boost::json::object machines = read_machines(folder);
  const boost::json::value* entry = machines.if_contains(machine);
  if (!entry || !entry->is_object()) return std::nullopt;
  const boost::json::object& o = entry->as_object();
  const Calibration c{.read = number(o, "read"),
                      .attend = number(o, "attend"),
                      .products = number(o, "products"),
                      .floats = number(o, "floats"),
                      .tiles = flag(o, "tiles"),
                      .thorough = flag(o, "thorough")};
  if (c.read == 0 || c.attend == 0 || c.products == 0 || c.floats == 0) return std::nullopt;
  return c;
}

void save_calibration(const std::filesystem::path& folder, const std::string& machine, const Calibration& c) {
  boost::json::object machines = read_machines(folder);
  machines[machine] = {{"read", c.read},     {"attend", c.attend}, {"products", c.products},
                       {"floats", c.floats}, {"tiles", c.tiles},   {"thorough", c.thorough}};
  std::filesystem::create_directories(folder);
  AtomicFile file(file_in(folder));
  const std::string text = boost::json::serialize(machines) + "\n";
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

Calibration known_calibration(const std::filesystem::path& folder, const std::string& machine, int threads) {
  if (const auto kept = load_calibration(folder, machine)) return *kept;
  const Calibration estimate = calibrate({.threads = threads});
  try {
    save_calibration(folder, machine, estimate);
  } catch (const std::exception&) {  // a folder that cannot be written: estimated again the next time
  }
  return estimate;
}

}  // namespace medlar::host
