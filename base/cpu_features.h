// Vector features of the processor, as far as the operating system lets a program use them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace medlar {

struct CpuFeatures {
  // x86-64
  bool avx2 = false, fma = false, f16c = false, avxvnni = false;
  bool avx512f = false, avx512bw = false, avx512vl = false, avx512dq = false;
  bool avx512vnni = false, avx512bf16 = false, avx512vbmi = false;
  bool amx_tile = false, amx_bf16 = false, amx_int8 = false;
  // AArch64
  bool neon = false, dotprod = false, i8mm = false, bf16 = false, sme = false;
  bool accelerate = false;  // the library of macOS on Apple's processors

  bool operator==(const CpuFeatures&) const = default;
};

// Asks CPUID and XGETBV, the auxiliary vector, or sysctl; on Linux also for the use of tile registers, which
// a process gets only on request.
CpuFeatures detect_cpu_features();

// The features by name, separated by blanks, for `medlar doctor` and logs.
std::string to_string(const CpuFeatures& features);

// What a kernel table may be compiled for. Each x86 level includes the ones before it.
enum class CpuLevel : std::uint8_t {
  scalar,
  avx2,        // AVX2, FMA, F16C
  avx512,      // AVX-512 F, BW, VL, DQ, VNNI
  amx,         // avx512, AVX-512 VBMI, and AMX tiles with bf16 products
  neon,        // Advanced SIMD
  accelerate,  // neon, with the products of macOS's library for batches
};

std::string_view name(CpuLevel level);
bool supports(const CpuFeatures& features, CpuLevel level);
CpuLevel best_cpu_level(const CpuFeatures& features);

// The level to use. `wanted` is the value of MEDLAR_CPU, or empty for the best one.
// Throws Error(usage) on an unknown name and Error(unsupported) on one that this machine lacks.
CpuLevel choose_cpu_level(const CpuFeatures& features, std::string_view wanted);

}  // namespace medlar
