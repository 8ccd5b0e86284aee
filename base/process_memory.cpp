#include "base/process_memory.h"

#ifdef __APPLE__
#include <mach/mach.h>
#else
#include <fstream>
#include <string>
#endif

namespace medlar {

#ifdef __APPLE__

ProcessMemory process_memory() {
  task_vm_info_data_t info{};
  mach_msg_type_number_t count = TASK_VM_INFO_COUNT;
  if (task_info(mach_task_self(), TASK_VM_INFO, reinterpret_cast<task_info_t>(&info), &count) != KERN_SUCCESS) return {};
  return {static_cast<std::int64_t>(info.phys_footprint), static_cast<std::int64_t>(info.external)};
}

#else

ProcessMemory process_memory() {
  std::ifstream status("/proc/self/status");
  ProcessMemory memory;
  for (std::string line; std::getline(status, line);) {
    const auto kilobytes = [&] { return std::stoll(line.substr(line.find(':') + 1)) * 1024; };
    if (line.starts_with("RssAnon:")) memory.anonymous = kilobytes();
    if (line.starts_with("RssFile:")) memory.file = kilobytes();
  }
  return memory;
}

#endif

}  // namespace medlar
