#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace medlar {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "medlar: bug: %s does not hold (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace medlar
