// What a test tells the stand-in for macOS to be like, and hears from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace medlar::metal_stub {

struct Behaviour {
  int macos = 15;  // residency sets and setMathMode: are new in 15
  bool apple_gpu = true;
  std::uint64_t max_buffer = std::uint64_t{1} << 30;
  std::uint64_t working_set = std::uint64_t{4} << 30;
  std::string broken_kernel;                 // a text with this kernel does not compile
  std::string failure;                       // the next commands fail, saying so
  std::int64_t failure_code = 1;             // MTLCommandBufferError
  std::map<std::string, std::string> types;  // of selectors, in place of the true ones
};
Behaviour& behaviour();

// What was done wrong since the last call. A process that ends with faults nobody took, or with objects that
// nobody released, says so and exits with 86.
std::vector<std::string> take_faults();
std::size_t live_objects();

}  // namespace medlar::metal_stub
