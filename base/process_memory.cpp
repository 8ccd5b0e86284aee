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
  if (task_info(mach_task_self(), TASK_VM_INFO, reinterpret_cast<task_info_t>(&info), &count) != KERN_SUCCESS)
    return {};
  return {.resident = info.resident_size, .anonymous = info.internal, .file = info.external};
}

#else

ProcessMemory process_memory() {
  std::ifstream status("/proc/self/status");
  ProcessMemory memory;
  std::string key, rest;
  std::uint64_t kibibytes = 0;
  while (status >> key) {
    if (key == "VmRSS:" && status >> kibibytes) memory.resident = kibibytes * 1024;
    if (key == "RssAnon:" && status >> kibibytes) memory.anonymous = kibibytes * 1024;
    if (key == "RssFile:" && status >> kibibytes) memory.file = kibibytes * 1024;
    std::getline(status, rest);
  }
  return memory;
}

#endif

}  // namespace medlar
