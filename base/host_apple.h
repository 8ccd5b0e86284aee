// The macOS facts, by sysctl and Mach.
#pragma once

#include "base/host.h"

namespace medlar {

#if defined(__APPLE__)
HostInfo read_apple_host();
#endif

}  // namespace medlar
