// Linux: cores and caches from sysfs, memory from procfs, limits from cgroups of both versions.
// Compiled everywhere, because it only reads text files under a given root.
#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "base/cgroup.h"
#include "base/host.h"
#include "base/system_text.h"

namespace medlar {
namespace {

namespace fs = std::filesystem;
using namespace sysfs;

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
constexpr int kMaxCpu = 1 << 16;

// "0-3,8,10-11" as a set of processor numbers.
std::set<int> parse_cpu_list(std::string_view list) {
  std::set<int> cpus;
  list = trim(list);
  while (!list.empty()) {
    const auto comma = list.find(',');
    const std::string_view range = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    const auto first = leading_number(range);
    if (!first || *first >= kMaxCpu) continue;
    const auto dash = range.find('-');
    const auto last = dash == std::string_view::npos ? first : leading_number(range.substr(dash + 1));
    for (auto cpu = *first; cpu <= std::min<std::uint64_t>(last.value_or(*first), kMaxCpu); ++cpu) {
      cpus.insert(static_cast<int>(cpu));
    }
  }
  return cpus;
}

fs::path cpu_dir(const fs::path& root, int cpu) {
  return root / "sys/devices/system/cpu" / ("cpu" + std::to_string(cpu));
}

std::set<int> allowed_cpus(const fs::path& root) {
  std::set<int> online = parse_cpu_list(read_text(root / "sys/devices/system/cpu/online").value_or("0"));
  const std::string status = read_text(root / "proc/self/status").value_or("");
  const auto list = field(status, "Cpus_allowed_list:");  // affinity and cpuset
  if (!list) return online;
  const std::set<int> allowed = parse_cpu_list(*list);
  std::set<int> both;
  std::ranges::set_intersection(online, allowed, std::inserter(both, both.end()));
  return both.empty() ? online : both;
}

// The lowest-numbered hardware thread of the core that `cpu` belongs to.
int core_leader(const fs::path& root, int cpu) {
  const fs::path topology = cpu_dir(root, cpu) / "topology";
  for (const char* name : {"core_cpus_list", "thread_siblings_list"}) {
    const std::set<int> siblings = parse_cpu_list(read_text(topology / name).value_or(""));
    if (!siblings.empty()) return *siblings.begin();
  }
  return cpu;
}

// Relative speed: cpu_capacity (AArch64, 1024 for the fastest), or the two core types of hybrid x86.
std::map<int, std::uint64_t> capacities(const fs::path& root, const std::set<int>& cpus) {
  constexpr std::uint64_t kFull = 1024;
  constexpr std::uint64_t kEfficient = 256;
  const std::set<int> atoms = parse_cpu_list(read_text(root / "sys/devices/cpu_atom/cpus").value_or(""));
  std::map<int, std::uint64_t> out;
  for (const int cpu : cpus) {
    out[cpu] =
        read_number(cpu_dir(root, cpu) / "cpu_capacity").value_or(atoms.contains(cpu) ? kEfficient : kFull);
  }
  return out;
}

std::vector<CoreClass> read_cores(const fs::path& root) {
  const std::set<int> cpus = allowed_cpus(root);
  const std::map<int, std::uint64_t> capacity = capacities(root, cpus);
  std::uint64_t fastest = 0;
  for (const auto& [cpu, c] : capacity) fastest = std::max(fastest, c);
  std::map<std::uint64_t, CoreClass, std::greater<>> classes;
  std::set<int> leaders;
  for (const int cpu : cpus) {
    CoreClass& c = classes[capacity.at(cpu)];
    ++c.logical;
    if (!leaders.insert(core_leader(root, cpu)).second) continue;
    ++c.physical;
    c.cpus.push_back(cpu);
  }
  std::vector<CoreClass> out;
  for (auto& [speed, c] : classes) {
    // Work is split evenly: a core of half the speed would make the fast ones wait.
    c.performance = speed * 2 > fastest;
    c.name = c.performance ? "Performance" : "Efficiency";
    out.push_back(std::move(c));
  }
  return out;
}

// "48K", "2M" or plain bytes.
std::uint64_t parse_bytes(std::string_view text) {
  text = trim(text);
  const std::uint64_t value = leading_number(text).value_or(0);
  if (value > kNoLimit >> 30) return 0;
  switch (text.empty() ? '\0' : text.back()) {
    case 'K':
      return value << 10;
    case 'M':
      return value << 20;
    case 'G':
      return value << 30;
    default:
      return value;
  }
}

void read_caches(const fs::path& root, HostInfo& host) {
  if (host.cores.empty() || host.cores[0].cpus.empty()) return;
  const fs::path dir = cpu_dir(root, host.cores[0].cpus[0]) / "cache";
  for (int i = 0; i < 16; ++i) {
    const fs::path index = dir / ("index" + std::to_string(i));
    const auto level = read_number(index / "level");
    if (!level) break;
    if (trim(read_text(index / "type").value_or("")) == "Instruction") continue;
    Cache* cache = *level == 1 ? &host.l1d : *level == 2 ? &host.l2 : *level == 3 ? &host.l3 : nullptr;
    if (cache == nullptr) continue;
    cache->bytes = parse_bytes(read_text(index / "size").value_or(""));
    const auto sharers = parse_cpu_list(read_text(index / "shared_cpu_list").value_or(""));
    cache->sharers = std::max(1, static_cast<int>(sharers.size()));
  }
}

struct MemoryFiles {
  std::vector<const char*> limits;
  const char* usage;
  const char* reclaimable;  // the key in memory.stat
};

// Narrows limit and available memory by one hierarchy. Pages of files that were not used lately count as
// available: the kernel drops them first.
void apply_memory_limits(const CgroupPlace& place, const MemoryFiles& files, HostInfo& host) {
  for (const fs::path& dir : place.groups()) {
    std::uint64_t limit = kNoLimit;
    for (const char* name : files.limits) limit = std::min(limit, read_number(dir / name).value_or(kNoLimit));
    if (limit >= kNoLimit >> 2) continue;  // version 1 says "no limit" by a number near 2^63
    host.memory_limit = host.memory_limit == 0 ? limit : std::min(host.memory_limit, limit);
    const std::uint64_t used = read_number(dir / files.usage).value_or(0);
    const std::string stat = read_text(dir / "memory.stat").value_or("");
    const std::uint64_t idle = leading_number(field(stat, files.reclaimable).value_or("0")).value_or(0);
    const std::uint64_t held = used - std::min(used, idle);
    host.available_bytes = std::min(host.available_bytes, limit - std::min(limit, held));
  }
}

void apply_cpu_quota(HostInfo& host, double quota) {
  if (quota > 0) host.cpu_quota = host.cpu_quota == 0 ? quota : std::min(host.cpu_quota, quota);
}

void read_cgroups(const fs::path& root, HostInfo& host) {
  if (const auto place = find_cgroup(root, "")) {
    apply_memory_limits(*place, {{"memory.max", "memory.high"}, "memory.current", "inactive_file "}, host);
    for (const fs::path& dir : place->groups()) {  // cpu.max: "QUOTA PERIOD" in us, or "max PERIOD"
      const std::string text = read_text(dir / "cpu.max").value_or("");
      const auto words = split_blanks(text);
      if (words.size() != 2) continue;
      const auto quota = leading_number(words[0]);
      const auto period = leading_number(words[1]);
      if (quota && period.value_or(0) > 0) {
        apply_cpu_quota(host, static_cast<double>(*quota) / static_cast<double>(*period));
      }
    }
  }
  if (const auto place = find_cgroup(root, "memory")) {
    apply_memory_limits(*place, {{"memory.limit_in_bytes"}, "memory.usage_in_bytes", "total_inactive_file "},
                        host);
  }
  if (const auto place = find_cgroup(root, "cpu")) {
    for (const fs::path& dir : place->groups()) {
      const auto quota = read_number(dir / "cpu.cfs_quota_us");  // -1 (no limit) does not parse
      const auto period = read_number(dir / "cpu.cfs_period_us");
      if (quota && period.value_or(0) > 0) {
        apply_cpu_quota(host, static_cast<double>(*quota) / static_cast<double>(*period));
      }
    }
  }
}

std::string unquoted(std::string_view s) {
  if (s.size() >= 2 && s.front() == '"' && s.back() == '"') s = s.substr(1, s.size() - 2);
  return std::string(s);
}

std::string cpu_name(const fs::path& root) {
  const std::string info = read_text(root / "proc/cpuinfo").value_or("");
  if (const auto model = field(info, "model name")) {
    return std::string(trim(model->substr(std::min(model->find(':') + 1, model->size()))));
  }
  std::string board = read_text(root / "proc/device-tree/model").value_or("");  // ends in NUL
  std::erase(board, '\0');
  return board.empty() ? "unknown" : board;
}

}  // namespace

HostInfo read_linux_host(const fs::path& root) {
  HostInfo host;
  const std::string release = read_text(root / "etc/os-release").value_or("");
  host.os = unquoted(field(release, "PRETTY_NAME=").value_or("Linux"));
  host.cpu = cpu_name(root);
  host.cores = read_cores(root);
  read_caches(root, host);
  const std::string memory = read_text(root / "proc/meminfo").value_or("");
  const auto bytes = [&](std::string_view key) {
    constexpr std::uint64_t kKilo = 1024;
    return leading_number(field(memory, key).value_or("")).value_or(0) * kKilo;
  };
  host.memory_bytes = bytes("MemTotal:");
  host.available_bytes = bytes("MemAvailable:");
  host.swap_bytes = bytes("SwapTotal:");
  host.swap_used_bytes = host.swap_bytes - std::min(host.swap_bytes, bytes("SwapFree:"));
  read_cgroups(root, host);
  return host;
}

}  // namespace medlar
