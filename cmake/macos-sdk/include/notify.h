// As in macOS.
#pragma once

#include <cstdint>

#define NOTIFY_STATUS_OK 0
#define NOTIFY_STATUS_INVALID_TOKEN 2

extern "C" {
std::uint32_t notify_register_file_descriptor(const char* name, int* descriptor, int flags, int* token);
std::uint32_t notify_get_state(int token, std::uint64_t* state);
std::uint32_t notify_cancel(int token);
}
