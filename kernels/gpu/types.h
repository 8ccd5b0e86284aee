// Numbers with their width in the name, for the host and the emulator. The dialects of GPUs bring their own
// in their preludes.
#pragma once

#if !defined(__METAL_VERSION__) && !defined(__CUDACC__) && !defined(__CUDACC_RTC__) && \
    !defined(__OPENCL_CPP_VERSION__)
#include <cstdint>

typedef std::uint8_t u8;
typedef std::int8_t i8;
typedef std::uint16_t u16;
typedef std::int16_t i16;
typedef std::uint32_t u32;
typedef std::int32_t i32;
typedef std::uint64_t u64;
typedef std::int64_t i64;
typedef float f32;
#else
#include "kernels/gpu/prelude/prelude.h"
#endif
