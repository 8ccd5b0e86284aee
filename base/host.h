// Facts about the machine: cores by class, caches, memory and the limits set on this process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace medlar {

// Cores of equal speed, of those this process may run on.
struct CoreClass {
  std::string name;         // "Performance", "Super", "Efficiency"
  int physical = 0;         // cores
  int logical = 0;          // hardware threads on them
  bool performance = true;  // fit for work that is split evenly with the fastest cores
  std::vector<int> cpus;    // Linux: the first hardware thread of each core; empty elsewhere
};

struct Cache {
  std::uint64_t bytes = 0;  // 0: absent or unknown
  int sharers = 1;          // hardware threads that share one such cache
};

struct HostInfo {
  std::string os;        // "Debian GNU/Linux 12 (bookworm)", "macOS 26.1"
  std::string cpu;       // the processor's name for itself
  bool rosetta = false;  // x86-64 code translated on Apple silicon

  std::vector<CoreClass> cores;  // fastest first
  double cpu_quota = 0;          // processors' worth of time per second a cgroup allows; 0: no limit
  Cache l1d, l2, l3;             // of the fastest core class
  std::uint64_t page_bytes = 0;
  std::uint64_t memory_bytes = 0;     // physical
  std::uint64_t available_bytes = 0;  // to be had without swapping, within memory_limit
  std::uint64_t memory_limit = 0;     // the tightest cgroup limit in bytes; 0: none
  std::uint64_t swap_bytes = 0, swap_used_bytes = 0;

  int physical_cores() const;
  int performance_cores() const;
  // One per performance core that this process may use, no more than the quota pays for, at least 1.
  int default_threads() const;
};

// Reads everything once (microseconds to a millisecond); never throws on odd or missing facts.
HostInfo probe();

// The Linux facts from a tree with proc/, sys/ and etc/ under `root`: "/" or a copy for tests.
HostInfo read_linux_host(const std::filesystem::path& root);

}  // namespace medlar
