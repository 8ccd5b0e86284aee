// What the operating system says this process holds.
#pragma once

#include <cstdint>

namespace medlar {

struct ProcessMemory {
  std::int64_t anonymous = 0;  // bytes that only swap could evict (macOS: the footprint)
  std::int64_t file = 0;       // resident bytes of mapped files, which are clean and evictable
};

// Zeros where the system does not tell.
ProcessMemory process_memory();

}  // namespace medlar
