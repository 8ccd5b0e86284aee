// Barriers in threadgroup memory that threads pass by phases: one ends when a number of threads have arrived
// and all bytes that were announced have come. And the memory that copies fill.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medlar::emulator {

inline constexpr std::size_t kLargeBytes = 227 << 10;  // of a threadgroup, at most
inline constexpr std::size_t kLargeAlignment = 1024;

// The same for every thread of a group, Launch::large_bytes. They start as NaN; writing past them fails the
// launch.
void* large_threadgroup_memory();

void phase_init(std::uint64_t* at, std::uint32_t count);
// `bytes` more are still to come; negative: have come.
void phase_arrive(std::uint64_t* at, std::uint32_t arrivals, std::int32_t bytes);
// Until the phase of this parity has ended. A launch in which nobody can end it fails.
void phase_wait(std::uint64_t* at, std::uint32_t parity, int line);

// A multiple of 16 bytes between addresses of such, or the launch fails.
void copy_aligned(void* to, const void* from, std::size_t bytes);

}  // namespace medlar::emulator
