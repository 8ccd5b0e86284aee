// macOS: performance levels and caches by sysctl, memory by Mach's host statistics.
#include "base/host_apple.h"

#if defined(__APPLE__)

#include <optional>

#include <fmt/format.h>
#include <mach/mach.h>
#include <sys/sysctl.h>

namespace medlar {
namespace {

std::optional<std::int64_t> sysctl_int(const std::string& name) {
  std::int64_t value = 0;  // also receives 32-bit values: little endian, zero above
  std::size_t bytes = sizeof value;
  if (sysctlbyname(name.c_str(), &value, &bytes, nullptr, 0) != 0) return std::nullopt;
  return value;
}

std::string sysctl_string(const std::string& name) {
  std::size_t bytes = 0;
  if (sysctlbyname(name.c_str(), nullptr, &bytes, nullptr, 0) != 0 || bytes == 0) return {};
  std::string value(bytes, '\0');
  if (sysctlbyname(name.c_str(), value.data(), &bytes, nullptr, 0) != 0) return {};
  return value.c_str();  // drops the terminating NUL that sysctl counts
}

Cache cache(const std::string& bytes_name, std::int64_t sharers) {
  const std::int64_t bytes = sysctl_int(bytes_name).value_or(0);
  return {static_cast<std::uint64_t>(bytes > 0 ? bytes : 0), static_cast<int>(sharers)};
}

// Level 0 is the fastest. Intel Macs have no levels: all cores are of one class.
void read_cores(HostInfo& host) {
  const std::int64_t levels = sysctl_int("hw.nperflevels").value_or(0);
  for (std::int64_t i = 0; i < levels; ++i) {
    const std::string level = fmt::format("hw.perflevel{}.", i);
    CoreClass c;
    c.name = sysctl_string(level + "name");
    c.physical = static_cast<int>(sysctl_int(level + "physicalcpu").value_or(0));
    c.logical = static_cast<int>(sysctl_int(level + "logicalcpu").value_or(c.physical));
    c.performance = c.name != "Efficiency";
    if (c.physical > 0) host.cores.push_back(std::move(c));
  }
  if (host.cores.empty()) {
    CoreClass c{.name = "Performance"};
    c.physical = static_cast<int>(sysctl_int("hw.physicalcpu").value_or(1));
    c.logical = static_cast<int>(sysctl_int("hw.logicalcpu").value_or(c.physical));
    host.cores.push_back(std::move(c));
  }
}

void read_caches(HostInfo& host) {
  const bool levels = sysctl_int("hw.nperflevels").has_value();
  const std::string prefix = levels ? "hw.perflevel0." : "hw.";
  host.l1d = cache(prefix + "l1dcachesize", 1);
  host.l2 = cache(prefix + "l2cachesize", sysctl_int(prefix + "cpusperl2").value_or(1));
  host.l3 = cache("hw.l3cachesize", sysctl_int("hw.logicalcpu").value_or(1));
}

// Free pages, pages of files, and pages their owners marked as disposable can be had without swapping.
void read_memory(HostInfo& host) {
  host.memory_bytes = static_cast<std::uint64_t>(sysctl_int("hw.memsize").value_or(0));
  const mach_port_t self = mach_host_self();
  vm_size_t page = 0;
  vm_statistics64_data_t stats{};
  mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
  if (host_page_size(self, &page) == KERN_SUCCESS &&
      host_statistics64(self, HOST_VM_INFO64, reinterpret_cast<host_info64_t>(&stats), &count) ==
          KERN_SUCCESS) {
    const std::uint64_t pages =
        static_cast<std::uint64_t>(stats.free_count) + stats.external_page_count + stats.purgeable_count;
    host.available_bytes = pages * page;
  }
  mach_port_deallocate(mach_task_self(), self);
  xsw_usage swap{};
  std::size_t bytes = sizeof swap;
  if (sysctlbyname("vm.swapusage", &swap, &bytes, nullptr, 0) == 0)
    host.swap_bytes = swap.xsu_total, host.swap_used_bytes = swap.xsu_used;
}

}  // namespace

HostInfo read_apple_host() {
  HostInfo host;
  host.os = "macOS " + sysctl_string("kern.osproductversion");
  host.cpu = sysctl_string("machdep.cpu.brand_string");
  host.rosetta = sysctl_int("sysctl.proc_translated").value_or(0) == 1;
  read_cores(host);
  read_caches(host);
  read_memory(host);
  return host;
}

}  // namespace medlar

#endif
