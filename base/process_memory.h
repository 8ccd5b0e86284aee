// What the operating system says this process holds in memory now.
#pragma once

#include <cstdint>

namespace medlar {

struct ProcessMemory {
  std::uint64_t resident = 0;   // bytes in RAM
  std::uint64_t anonymous = 0;  // of them, those that cannot be read again from a file; 0: unknown
  std::uint64_t file = 0;       // of them, pages of mapped files; 0: unknown
};

// Zeros where the system does not say.
ProcessMemory process_memory();

}  // namespace medlar
