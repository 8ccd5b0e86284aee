// Feature detection by CPUID and XGETBV (x86-64), the auxiliary vector (Linux on AArch64) and sysctl (macOS).
#include "base/cpu_features.h"

#include <array>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "base/error.h"
#include "base/log.h"

namespace medlar {
namespace {

constexpr std::array kLevels = {CpuLevel::scalar, CpuLevel::avx2, CpuLevel::avx512,
                                CpuLevel::amx,    CpuLevel::neon, CpuLevel::accelerate};

#if defined(__x86_64__)

constexpr bool bit(std::uint64_t word, int index) { return (word >> index & 1) != 0; }

struct CpuidLeaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidLeaf cpuid(unsigned leaf, unsigned subleaf) {
  CpuidLeaf r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;  // zeros where the leaf does not exist
}

// XCR0: the register states that the operating system saves.
std::uint64_t enabled_states() {
  unsigned low = 0;
  unsigned high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<std::uint64_t>(high) << 32 | low;
}

// Linux gives a process its tile registers only on request.
bool enable_amx() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // the state component
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// Bits as in Intel's Software Developer's Manual, volume 2, CPUID, and volume 1, chapter 13 (XCR0).
CpuFeatures detect() {
  CpuFeatures f;
  const CpuidLeaf basic = cpuid(1, 0);
  if (!bit(basic.ecx, 27)) return f;  // OSXSAVE: XGETBV may be used
  const std::uint64_t states = enabled_states();
  const bool ymm = (states & 0x06) == 0x06;          // SSE and AVX state
  const bool zmm = ymm && (states & 0xE0) == 0xE0;   // mask registers and upper halves
  const bool tiles = (states & 0x60000) == 0x60000;  // TILECFG and TILEDATA
  const CpuidLeaf extended = cpuid(7, 0);
  const CpuidLeaf more = extended.eax >= 1 ? cpuid(7, 1) : CpuidLeaf{};
  f.fma = ymm && bit(basic.ecx, 12);
  f.f16c = ymm && bit(basic.ecx, 29);
  f.avx2 = ymm && bit(extended.ebx, 5);
  f.avxvnni = ymm && bit(more.eax, 4);
  f.avx512f = zmm && bit(extended.ebx, 16);
  f.avx512dq = zmm && bit(extended.ebx, 17);
  f.avx512bw = zmm && bit(extended.ebx, 30);
  f.avx512vl = zmm && bit(extended.ebx, 31);
  f.avx512vbmi = zmm && bit(extended.ecx, 1);
  f.avx512vnni = zmm && bit(extended.ecx, 11);
  f.avx512bf16 = zmm && bit(more.eax, 5);
  f.amx_tile = tiles && bit(extended.edx, 24) && enable_amx();
  f.amx_bf16 = f.amx_tile && bit(extended.edx, 22);
  f.amx_int8 = f.amx_tile && bit(extended.edx, 25);
  return f;
}

#elif defined(__aarch64__) && defined(__linux__)

// Bits as in the kernel's Documentation/arch/arm64/elf_hwcaps.rst.
CpuFeatures detect() {
  const unsigned long first = getauxval(AT_HWCAP);
  const unsigned long second = getauxval(AT_HWCAP2);
  CpuFeatures f;
  f.neon = (first >> 1 & 1) != 0;      // HWCAP_ASIMD
  f.dotprod = (first >> 20 & 1) != 0;  // HWCAP_ASIMDDP
  f.i8mm = (second >> 13 & 1) != 0;    // HWCAP2_I8MM
  f.bf16 = (second >> 14 & 1) != 0;    // HWCAP2_BF16
  f.sme = (second >> 23 & 1) != 0;     // HWCAP2_SME
  return f;
}

#elif defined(__aarch64__) && defined(__APPLE__)

bool sysctl_flag(const char* name) {
  int value = 0;
  std::size_t bytes = sizeof value;
  return sysctlbyname(name, &value, &bytes, nullptr, 0) == 0 && value != 0;
}

CpuFeatures detect() {
  CpuFeatures f;
  f.neon = true;
  f.dotprod = sysctl_flag("hw.optional.arm.FEAT_DotProd");
  f.i8mm = sysctl_flag("hw.optional.arm.FEAT_I8MM");
  f.bf16 = sysctl_flag("hw.optional.arm.FEAT_BF16");
  f.sme = sysctl_flag("hw.optional.arm.FEAT_SME");
  f.accelerate = true;
  return f;
}

#else

CpuFeatures detect() { return {}; }

#endif

}  // namespace

CpuFeatures detect_cpu_features() { return detect(); }

std::string to_string(const CpuFeatures& f) {
  const std::pair<bool, std::string_view> all[] = {
      {f.avx2, "avx2"},
      {f.fma, "fma"},
      {f.f16c, "f16c"},
      {f.avxvnni, "avxvnni"},
      {f.avx512f, "avx512f"},
      {f.avx512bw, "avx512bw"},
      {f.avx512vl, "avx512vl"},
      {f.avx512dq, "avx512dq"},
      {f.avx512vnni, "avx512vnni"},
      {f.avx512bf16, "avx512bf16"},
      {f.avx512vbmi, "avx512vbmi"},
      {f.amx_tile, "amx-tile"},
      {f.amx_bf16, "amx-bf16"},
      {f.amx_int8, "amx-int8"},
      {f.neon, "neon"},
      {f.dotprod, "dotprod"},
      {f.i8mm, "i8mm"},
      {f.bf16, "bf16"},
      {f.sme, "sme"},
      {f.accelerate, "accelerate"},
  };
  std::string names;
  for (const auto& [present, feature] : all) {
    if (!present) continue;
    if (!names.empty()) names += ' ';
    names += feature;
  }
  return names;
}

std::string_view name(CpuLevel level) {
  switch (level) {
    case CpuLevel::scalar:
      return "scalar";
    case CpuLevel::avx2:
      return "avx2";
    case CpuLevel::avx512:
      return "avx512";
    case CpuLevel::amx:
      return "amx";
    case CpuLevel::neon:
      return "neon";
    case CpuLevel::accelerate:
      return "accelerate";
  }
  return "unknown";
}

bool supports(const CpuFeatures& f, CpuLevel level) {
  switch (level) {
    case CpuLevel::scalar:
      return true;
    case CpuLevel::avx2:
      return f.avx2 && f.fma && f.f16c;
    case CpuLevel::avx512:
      return supports(f, CpuLevel::avx2) && f.avx512f && f.avx512bw && f.avx512vl && f.avx512dq &&
             f.avx512vnni;
    case CpuLevel::amx:
      return supports(f, CpuLevel::avx512) && f.avx512vbmi && f.amx_tile && f.amx_bf16;
    case CpuLevel::neon:
      return f.neon;
    case CpuLevel::accelerate:
      return f.neon && f.accelerate;
  }
  return false;
}

CpuLevel best_cpu_level(const CpuFeatures& features) {
  CpuLevel best = CpuLevel::scalar;
  for (const CpuLevel level : kLevels) {
    if (supports(features, level)) best = level;
  }
  return best;
}

CpuLevel choose_cpu_level(const CpuFeatures& features, std::string_view wanted) {
  if (wanted.empty()) return best_cpu_level(features);
  for (const CpuLevel level : kLevels) {
    if (name(level) != wanted) continue;
    if (supports(features, level)) return level;
    throw Error(ErrorKind::unsupported, fmt::format("MEDLAR_CPU={}: this processor lacks it", wanted),
                fmt::format("unset MEDLAR_CPU; the best level here is {}", name(best_cpu_level(features))));
  }
  throw Error(ErrorKind::usage, fmt::format("MEDLAR_CPU={}: no such level", printable(wanted)),
              "use scalar, avx2, avx512, amx, neon or accelerate, or unset MEDLAR_CPU");
}

}  // namespace medlar
