// MEDLAR_ASSERT: checks for bugs of ours. Never reachable from input; input errors throw medlar::Error.
#pragma once

namespace medlar {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

#define MEDLAR_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::medlar::assertion_failed(#expression, __FILE__, __LINE__))
