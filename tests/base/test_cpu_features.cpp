// Levels follow from features, and MEDLAR_CPU is parsed strictly.
#include <fstream>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/cpu_features.h"
#include "base/error.h"

namespace medlar {
namespace {

CpuFeatures haswell() { return {.avx2 = true, .fma = true, .f16c = true}; }

CpuFeatures ice_lake() {
  CpuFeatures f = haswell();
  f.avx512f = f.avx512bw = f.avx512vl = f.avx512dq = f.avx512vnni = true;
  return f;
}

CpuFeatures sapphire_rapids() {
  CpuFeatures f = ice_lake();
  f.avx512vbmi = f.amx_tile = f.amx_bf16 = f.amx_int8 = true;
  return f;
}

TEST(CpuLevel, BestFollowsFromFeatures) {
  EXPECT_EQ(best_cpu_level({}), CpuLevel::scalar);
  EXPECT_EQ(best_cpu_level(haswell()), CpuLevel::avx2);
  EXPECT_EQ(best_cpu_level(ice_lake()), CpuLevel::avx512);
  EXPECT_EQ(best_cpu_level(sapphire_rapids()), CpuLevel::amx);
  EXPECT_EQ(best_cpu_level({.neon = true}), CpuLevel::neon);
  EXPECT_EQ(best_cpu_level({.neon = true, .accelerate = true}), CpuLevel::accelerate);
}

TEST(CpuLevel, EveryFeatureOfALevelIsNeeded) {
  for (bool CpuFeatures::* feature : {&CpuFeatures::avx2, &CpuFeatures::fma, &CpuFeatures::f16c}) {
    CpuFeatures f = sapphire_rapids();
    f.*feature = false;
    EXPECT_EQ(best_cpu_level(f), CpuLevel::scalar);
  }
  for (bool CpuFeatures::* feature : {&CpuFeatures::avx512f, &CpuFeatures::avx512bw, &CpuFeatures::avx512vl,
                                      &CpuFeatures::avx512dq, &CpuFeatures::avx512vnni}) {
    CpuFeatures f = sapphire_rapids();
    f.*feature = false;
    EXPECT_EQ(best_cpu_level(f), CpuLevel::avx2);
  }
  for (bool CpuFeatures::* feature :
       {&CpuFeatures::amx_tile, &CpuFeatures::amx_bf16, &CpuFeatures::avx512vbmi}) {
    CpuFeatures f = sapphire_rapids();
    f.*feature = false;
    EXPECT_EQ(best_cpu_level(f), CpuLevel::avx512);
  }
}

TEST(CpuLevel, OverrideChoosesAnySupportedLevel) {
  EXPECT_EQ(choose_cpu_level(sapphire_rapids(), ""), CpuLevel::amx);
  EXPECT_EQ(choose_cpu_level(sapphire_rapids(), "scalar"), CpuLevel::scalar);
  EXPECT_EQ(choose_cpu_level(sapphire_rapids(), "avx2"), CpuLevel::avx2);
  EXPECT_EQ(choose_cpu_level(sapphire_rapids(), "avx512"), CpuLevel::avx512);
  EXPECT_EQ(choose_cpu_level({.neon = true}, "neon"), CpuLevel::neon);
}

TEST(CpuLevel, OverrideOfWhatIsMissingIsUnsupported) {
  for (const char* level : {"avx512", "amx", "neon"}) {
    try {
      choose_cpu_level(haswell(), level);
      FAIL() << level;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::unsupported);
      EXPECT_NE(e.hint().find("avx2"), std::string::npos) << e.hint();
    }
  }
}

TEST(CpuLevel, WrongOverrideListsTheValidOnes) {
  for (const char* level : {"AVX2", "sse", "avx2 ", "0", "\x1b[2J"}) {
    try {
      choose_cpu_level(haswell(), level);
      FAIL() << level;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::usage);
      EXPECT_NE(e.hint().find("scalar, avx2, avx512, amx, neon or accelerate"), std::string::npos);
      EXPECT_EQ(std::string(e.what()).find('\x1b'), std::string::npos);
    }
  }
}

TEST(CpuFeatures, NamesAreListed) {
  EXPECT_EQ(to_string(CpuFeatures{}), "");
  EXPECT_EQ(to_string(haswell()), "avx2 fma f16c");
  EXPECT_EQ(to_string(CpuFeatures{.neon = true, .i8mm = true}), "neon i8mm");
}

// The kernel lists what it enabled: an independent answer to the same question.
TEST(CpuFeatures, DetectionAgreesWithTheKernel) {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  std::string flags;
  while (std::getline(in, line)) {
    if (line.starts_with("flags") || line.starts_with("Features")) {
      flags = line.substr(line.find(':') + 1) + " ";
      break;
    }
  }
  if (flags.empty()) GTEST_SKIP() << "/proc/cpuinfo lists no features here";
  const auto listed = [&](const char* flag) {
    return flags.find(fmt::format(" {} ", flag)) != std::string::npos;
  };
  const CpuFeatures f = detect_cpu_features();
#if defined(__x86_64__)
  EXPECT_EQ(f.avx2, listed("avx2"));
  EXPECT_EQ(f.fma, listed("fma"));
  EXPECT_EQ(f.f16c, listed("f16c"));
  EXPECT_EQ(f.avxvnni, listed("avx_vnni"));
  EXPECT_EQ(f.avx512f, listed("avx512f"));
  EXPECT_EQ(f.avx512bw, listed("avx512bw"));
  EXPECT_EQ(f.avx512vl, listed("avx512vl"));
  EXPECT_EQ(f.avx512dq, listed("avx512dq"));
  EXPECT_EQ(f.avx512vnni, listed("avx512_vnni"));
  EXPECT_EQ(f.avx512bf16, listed("avx512_bf16"));
  EXPECT_EQ(f.avx512vbmi, listed("avx512vbmi"));
  EXPECT_EQ(f.amx_tile, listed("amx_tile"));
  EXPECT_EQ(f.amx_bf16, listed("amx_bf16"));
  EXPECT_EQ(f.amx_int8, listed("amx_int8"));
#elif defined(__aarch64__)
  EXPECT_EQ(f.neon, listed("asimd"));
  EXPECT_EQ(f.dotprod, listed("asimddp"));
  EXPECT_EQ(f.i8mm, listed("i8mm"));
  EXPECT_EQ(f.bf16, listed("bf16"));
  EXPECT_EQ(f.sme, listed("sme"));
#endif
}

}  // namespace
}  // namespace medlar
