// probe(): the facts this operating system offers.
#include "base/host.h"

#include <algorithm>

#include <unistd.h>

#include "base/host_apple.h"

namespace medlar {

int HostInfo::physical_cores() const {
  int count = 0;
  for (const CoreClass& c : cores) count += c.physical;
  return count;
}

int HostInfo::performance_cores() const {
  int count = 0;
  for (const CoreClass& c : cores) count += c.performance ? c.physical : 0;
  return count;
}

int HostInfo::default_threads() const {
  // A process that was confined to efficiency cores still runs on all of them.
  int threads = performance_cores() > 0 ? performance_cores() : physical_cores();
  if (cpu_quota > 0) threads = std::min(threads, static_cast<int>(cpu_quota));
  return std::max(1, threads);
}

HostInfo probe() {
#if defined(__APPLE__)
  HostInfo host = read_apple_host();
#else
  HostInfo host = read_linux_host("/");
#endif
  host.page_bytes = static_cast<std::uint64_t>(std::max(0L, sysconf(_SC_PAGESIZE)));
  return host;
}

}  // namespace medlar
