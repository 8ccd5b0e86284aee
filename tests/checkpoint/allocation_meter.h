// Counts what a thread allocates, to show that hostile sizes are refused before they are believed.
#pragma once

#include <cstddef>

namespace medlar {

// Bytes that this thread has asked operator new for since it began; what was freed again counts too.
std::size_t allocated_bytes();

}  // namespace medlar
