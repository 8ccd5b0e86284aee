// The checks of disks, the model store and its databases.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/mount.h>
#include <sys/param.h>
#else
#include <sys/vfs.h>
#endif

#include "base/page_memory.h"
#include "base/posix.h"
#include "base/system_text.h"
#include "host/doctor.h"
#include "host/lease.h"
#include "host/lease_file.h"
#include "store/store.h"

namespace medlar::host {
namespace {

namespace fs = std::filesystem;
using Findings = std::vector<Finding>;

// What a file lies on, as far as it matters.
struct FileSystem {
  std::string network;     // "NFS"; empty: a local one
  bool in_memory = false;  // its files take memory
};

#if defined(__APPLE__)
FileSystem file_system(const fs::path& path) {
  struct statfs info{};
  if (::statfs(path.c_str(), &info) != 0 || (info.f_flags & MNT_LOCAL) != 0) return {};
  return {.network = info.f_fstypename};
}
#else
// statfs(2).
FileSystem file_system(const fs::path& path) {
  constexpr std::pair<std::uint32_t, const char*> kNetworks[] = {
      {0x6969, "NFS"},      {0x517b, "SMB"},      {0xff534d42, "CIFS"}, {0xfe534d42, "SMB2"},
      {0x01021997, "9P"},   {0x00c36400, "Ceph"}, {0x5346414f, "AFS"},  {0x0bd00bd0, "Lustre"},
      {0x47504653, "GPFS"}, {0x65735546, "FUSE"}, {0x73757245, "Coda"}, {0x19830326, "BeeGFS"}};
  constexpr std::uint32_t kTmpfs = 0x01021994, kRamfs = 0x858458f6;
  struct statfs info{};
  if (::statfs(path.c_str(), &info) != 0) return {};
  const auto type = static_cast<std::uint32_t>(info.f_type);
  const auto known = std::ranges::find(kNetworks, type, &std::pair<std::uint32_t, const char*>::first);
  return {.network = known == std::end(kNetworks) ? "" : known->second,
          .in_memory = type == kTmpfs || type == kRamfs};
}
#endif

// Bytes a second of reading the file's end from the disk, not from memory; 0: cannot be told. At most two
// seconds and 256 MB.
double read_speed(const fs::path& path) {
  using Clock = std::chrono::steady_clock;
  constexpr std::size_t kBlock = std::size_t{4} << 20;
  constexpr std::uint64_t kMost = std::uint64_t{256} << 20;
  int flags = O_RDONLY | O_CLOEXEC;
#if defined(O_DIRECT)
  flags |= O_DIRECT;
#endif
  const FileDescriptor file(::open(path.c_str(), flags));
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  if (!file.valid() || error || size < kBlock) return 0;
#if defined(F_NOCACHE)
  ::fcntl(file.get(), F_NOCACHE, 1);
#endif
  const PageMemory block(kBlock);
  const std::uint64_t begin = (size - std::min(size, kMost)) / kBlock * kBlock;
  std::uint64_t bytes = 0;
  const Clock::time_point start = Clock::now();
  while (begin + bytes + kBlock <= size && Clock::now() - start < std::chrono::seconds(2)) {
    const auto got = ::pread(file.get(), block.data(), kBlock, static_cast<off_t>(begin + bytes));
    if (got != static_cast<ssize_t>(kBlock)) break;
    bytes += kBlock;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return seconds > 0 ? static_cast<double>(bytes) / seconds : 0;
}

// The model in question, else the largest that is installed.
std::pair<fs::path, std::uint64_t> sample_model(const Patient& patient) {
  if (!patient.model.empty()) return {patient.model, patient.model_bytes};
  std::pair<fs::path, std::uint64_t> largest;
  if (patient.store == nullptr) return largest;
  for (const store::InstalledModel& model : patient.store->list()) {
    if (model.problem.empty() && !model.files.empty() && model.bytes > largest.second)
      largest = {model.files[0].path, model.bytes};
  }
  return largest;
}

Findings check_file_system(const Patient& patient) {
  const fs::path path = !patient.model.empty()     ? patient.model
                        : patient.store != nullptr ? patient.store->options().root
                                                   : fs::path();
  if (path.empty()) return {};
  fs::path present = path;  // a store that is not made yet will lie in the folder that is
  std::error_code error;
  while (!fs::exists(present, error) && present.has_relative_path()) present = present.parent_path();
  const FileSystem found = file_system(present);
  if (!found.network.empty())
    return {{.severity = Severity::warning,
             .what = fmt::format("{} lies on {}: each page that memory lacks comes over the network",
                                 path.string(), found.network),
             .to_do = "copy the model to a local disk, or move the store there with MEDLAR_HOME"}};
  if (found.in_memory)
    return {{.severity = Severity::warning,
             .what = fmt::format("{} lies in memory, which cannot be given back", path.string()),
             .to_do = "copy the model to a disk"}};
  return {{.what = fmt::format("{} is on a local disk", path.string())}};
}

Findings check_disk_speed(const Patient& patient) {
  const auto [path, bytes] = sample_model(patient);
  if (path.empty()) return {};
  const double speed = read_speed(path);
  if (speed == 0) return {{.what = "cannot be told here"}};
  const double seconds = static_cast<double>(bytes) / speed;
  const std::string what = fmt::format("{:.0f} MB a second: {:.1f} GB of a model take {:.1f} s", speed / 1e6,
                                       static_cast<double>(bytes) / 1e9, seconds);
  constexpr double kLong = 60;
  if (seconds < kLong) return {{.what = what}};
  return {{.severity = Severity::warning, .what = what, .to_do = "keep models on a solid state disk"}};
}

Findings check_disk_space(const Patient& patient) {
  if (patient.store == nullptr) return {};
  const std::uint64_t free = store::free_bytes(patient.store->options().root);
  constexpr std::uint64_t kLittle = 2'000'000'000;
  if (free == UINT64_MAX) return {};
  Finding found{.what = fmt::format("{:.1f} GB free for models", static_cast<double>(free) / 1e9)};
  if (free < kLittle) {
    found.severity = Severity::warning;
    found.to_do = "remove models with \"medlar rm\", or move the store with MEDLAR_HOME";
  }
  return {found};
}

Finding verified(const Patient& patient, const store::InstalledModel& model) {
  const store::VerifyReport report =
      patient.store->verify(model.name, {.cancel = patient.cancel, .repair = false});
  if (report.good()) return {.what = fmt::format("{}: every byte is right", model.name)};
  return {.severity = Severity::problem,
          .what = fmt::format("{}: damaged or missing files", model.name),
          .to_do = fmt::format("medlar verify {} fetches them again", model.name)};
}

Findings check_store(const Patient& patient) {
  if (patient.store == nullptr) return {};
  Findings findings;
  const std::vector<store::InstalledModel> models = patient.store->list();
  for (const store::InstalledModel& model : models) {
    if (!model.problem.empty()) {
      findings.push_back({.severity = Severity::problem,
                          .what = fmt::format("{}: {}", model.name, model.problem),
                          .to_do = fmt::format("medlar verify {}, or medlar rm {}", model.name, model.name)});
    } else if (patient.verify) {
      findings.push_back(verified(patient, model));
    }
  }
  if (findings.empty()) findings.push_back({.what = fmt::format("{} models", models.size())});
  return findings;
}

// Why a file is no SQLite database (sqlite.org/fileformat.html), by its head and size; "": it may be one.
std::string database_problem(const fs::path& path) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  if (error) return "cannot be read";
  if (size == 0) return "";  // new
  std::array<unsigned char, 18> head{};
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return "cannot be read";
  const bool whole = ::pread(file.get(), head.data(), head.size(), 0) == static_cast<ssize_t>(head.size());
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  if (!whole ||
      !std::ranges::equal(kMagic, std::span(head).first(kMagic.size()),
                          [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; }))
    return "is no database";
  const std::uint64_t stored = static_cast<std::uint64_t>(head[16]) << 8 | head[17];
  const std::uint64_t page = stored == 1 ? 65536 : stored;
  if (page < 512 || size % page != 0) return "is cut short";
  return "";
}

Findings check_databases(const Patient& patient) {
  if (patient.store == nullptr) return {};
  Findings findings;
  for (const fs::path& path : sysfs::entries(patient.store->options().root)) {
    if (path.extension() != ".db") continue;
    if (path.filename().string().find(".damaged-") != std::string::npos) {
      findings.push_back({.severity = Severity::note,
                          .what = fmt::format("{} was set aside because it is damaged", path.string()),
                          .to_do = "delete it, or try sqlite3's .recover on it"});
      continue;
    }
    const std::string problem = database_problem(path);
    if (problem.empty()) continue;
    findings.push_back({.severity = Severity::problem,
                        .what = fmt::format("{} {}", path.string(), problem),
                        .to_do = "move it away; the server begins a new one"});
  }
  if (findings.empty()) findings.push_back({.what = "history and responses are sound"});
  return findings;
}

Findings check_leases(const Patient& patient) {
  if (patient.store == nullptr) return {};
  const fs::path path = patient.store->options().root / kLeaseFileName;
  const LeaseFileState state = inspect_lease_file(path);
  if (!state.problem.empty())
    return {{.severity = Severity::warning,
             .what = fmt::format("{} {}", path.string(), state.problem),
             .to_do = "delete it: programs that run make it again"}};
  if (state.damaged > 0)
    return {{.severity = Severity::note,
             .what = fmt::format("{} of {} records cannot be read", state.damaged, state.live),
             .to_do = "they are written again within a second; if not, restart the programs that run"}};
  return {
      {.what = fmt::format("{} programs share this machine's memory{}", state.live,
                           state.stale > 0 ? fmt::format("; {} ended without a word", state.stale) : "")}};
}

constexpr Check kChecks[] = {{"file-system", check_file_system}, {"disk-speed", check_disk_speed},
                             {"disk-space", check_disk_space},   {"store", check_store},
                             {"databases", check_databases},     {"leases", check_leases}};

}  // namespace

std::span<const Check> storage_checks() { return kChecks; }

}  // namespace medlar::host
