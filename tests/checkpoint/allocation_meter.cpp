#include "allocation_meter.h"

#include <cstdlib>
#include <new>

namespace {
thread_local std::size_t t_allocated = 0;
}

// Replaces the program's operator new. The other forms call this one.
void* operator new(std::size_t bytes) {
  t_allocated += bytes;
  if (void* at = std::malloc(bytes > 0 ? bytes : 1)) return at;
  throw std::bad_alloc();
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }

namespace medlar {
std::size_t allocated_bytes() { return t_allocated; }
}  // namespace medlar
