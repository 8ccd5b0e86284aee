// As in macOS.
#pragma once

#include <cstddef>

extern "C" int sysctlbyname(const char* name, void* old_value, std::size_t* old_bytes, void* new_value,
                            std::size_t new_bytes);
