// Checked arithmetic. Every size that comes from a file, a request or a device goes through these functions.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace medlar {

// Throws Error(bad_file) naming `what` when the exact result does not fit T.
template <std::integral T>
T checked_add(T a, T b, std::string_view what) {
  T r;
  if (__builtin_add_overflow(a, b, &r)) fail(ErrorKind::bad_file, "{}: {} + {} overflows", what, a, b);
  return r;
}

template <std::integral T>
T checked_mul(T a, T b, std::string_view what) {
  T r;
  if (__builtin_mul_overflow(a, b, &r)) fail(ErrorKind::bad_file, "{}: {} x {} overflows", what, a, b);
  return r;
}

// The value as To, exactly.
template <std::integral To, std::integral From>
To checked_cast(From v, std::string_view what) {
  if (!std::in_range<To>(v)) fail(ErrorKind::bad_file, "{}: {} is out of range", what, v);
  return static_cast<To>(v);
}

// The smallest multiple of `alignment` (a power of two) that is >= v.
template <std::unsigned_integral T>
T checked_align_up(T v, T alignment, std::string_view what) {
  return checked_add<T>(v, alignment - 1, what) & ~(alignment - 1);
}

}  // namespace medlar
