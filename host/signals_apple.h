// The sources of macOS.
#pragma once

#include "host/signals.h"

namespace medlar::host {

#if defined(__APPLE__) || defined(MEDLAR_APPLE_STUB)
// Memory pressure from libdispatch, heat and Low Power Mode from notify(3), the battery from IOKit.
Sources apple_sources(const SourceOptions& options);
#endif

}  // namespace medlar::host
