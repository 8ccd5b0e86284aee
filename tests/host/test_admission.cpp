// Admission: what fits is left alone, what does not is reduced where the user left room, or refused with
// settings that do fit.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "host/admission.h"
#include "host/memory.h"
#include "tune/synth_file.h"

namespace medlar::host {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class AdmissionTest : public ::testing::Test {
 protected:
  Admission admitted(const EngineOptions& options, std::int64_t limit, bool parallel_is_open = false) {
    return admit({.path = file_.path(),
                  .reference = "synthetic:llama-1b:q4_k_m",
                  .options = options,
                  .parallel_is_open = parallel_is_open,
                  .limit = {.bytes = limit, .reason = "the limit"}});
  }
  std::int64_t need(const EngineOptions& options) {
    Planner planner(file_.path());
    return memory_need(planner.plan(options)).total();
  }
  std::string refusal(const EngineOptions& options, std::int64_t limit) {
    try {
      admitted(options, limit);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::out_of_memory);
      return std::string(e.what()) + " | " + e.hint();
    }
    return "admitted";
  }

  tune::SynthFile file_{tune::parse_synth("llama-1b:q4_k_m"), {.weights = false}};
};

TEST_F(AdmissionTest, WhatFitsIsLeftAlone) {
  const EngineOptions options{.threads = 2};
  const Admission a = admitted(options, need(options));
  EXPECT_EQ(a.note, "");
  EXPECT_EQ(a.options.context, 0);
  EXPECT_FALSE(a.options.k_type);
  EXPECT_EQ(a.bytes, need(options));
}

TEST_F(AdmissionTest, AnOpenContextIsReducedAndSaysSo) {
  const std::int64_t limit = need({.threads = 2}) - 50'000'000;
  const Admission a = admitted({.threads = 2}, limit);
  EXPECT_THAT(a.note, HasSubstr("a context of "));
  EXPECT_THAT(a.note, HasSubstr("the limit is"));
  EXPECT_LT(a.options.context, 32768);
  EXPECT_GE(a.options.context, 16384);
  EXPECT_LE(a.bytes, limit);
  EXPECT_EQ(need(a.options), a.bytes);
}

TEST_F(AdmissionTest, WhatTheUserSetIsKept) {
  const EngineOptions options{.context = 32768, .threads = 2};
  const Admission a = admitted(options, need(options) - 50'000'000);
  EXPECT_EQ(a.options.context, 32768);
  EXPECT_EQ(a.options.k_type, DType::q4_0);
  const EngineOptions types{.k_type = DType::f16, .v_type = DType::f16, .threads = 2};
  EXPECT_EQ(admitted(types, need(types) - 50'000'000).options.k_type, DType::f16);
  const EngineOptions all{.context = 32768, .k_type = DType::q8_0, .v_type = DType::q8_0, .threads = 2};
  EXPECT_THAT(refusal(all, need(all) - 50'000'000), HasSubstr("these fit: --ctx "));
}

TEST_F(AdmissionTest, RefusalsNameWhatFits) {
  const std::string text = refusal({.context = 16384, .threads = 2}, 900'000'000);
  EXPECT_THAT(text, HasSubstr("synthetic:llama-1b:q4_k_m needs "));
  EXPECT_THAT(text, HasSubstr("the limit is 900 MB"));
  EXPECT_THAT(text, HasSubstr("these fit: "));
  EXPECT_THAT(refusal({.threads = 2}, 30'000'000), HasSubstr("choose a smaller model"));
  EXPECT_THAT(refusal({.threads = 2}, 0), Not(HasSubstr("these fit")));
}

TEST_F(AdmissionTest, RequestsAtOnceAreReducedOnlyWhereThatIsOpen) {
  const EngineOptions options{
      .context = 512, .k_type = DType::q4_0, .v_type = DType::q4_0, .threads = 2, .sequences = 256};
  const std::int64_t limit = need(options) - 20'000'000;
  EXPECT_EQ(admitted(options, limit, true).options.sequences, 1);
  EXPECT_THAT(refusal(options, limit), HasSubstr("--parallel 1"));
}

}  // namespace
}  // namespace medlar::host
