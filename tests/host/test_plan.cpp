// Plans: that they are the program's, from the directory alone, and what fits where.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/process_memory.h"
#include "engine/engine.h"
#include "engine/plan.h"
#include "formats/all.h"
#include "host/configurations.h"
#include "host/memory.h"
#include "tests/support/tiny_model.h"
#include "tune/synth_file.h"

namespace medlar::host {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;
using testing::TinyModel;

class PlanTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const TinyModel& model) {
    const auto path = folder_ / "m.gguf";
    testing::write_tiny_model(path, model);
    return path;
  }
  TemporaryFolder folder_;
};

Planner shape(const char* name) {
  // The file is gone when this returns; what was mapped of it stays.
  const tune::SynthFile file(tune::parse_synth(name), {.weights = false});
  return Planner(file.path());
}

TEST_F(PlanTest, IsTheMemoryOfTheEngineThatIsLoaded) {
  for (const char* architecture : {"llama", "qwen2", "qwen3", "qwen3moe", "gemma3"}) {
    TinyModel model{.architecture = architecture, .head_dim = 32};
    if (std::string_view(architecture) == "qwen3moe") model.experts = 4;
    const auto path = write(model);
    for (const EngineOptions& options :
         {EngineOptions{.threads = 2}, EngineOptions{.context = 100, .threads = 1, .batch = 32},
          EngineOptions{
              .context = 256, .k_type = DType::f16, .v_type = DType::q4_0, .threads = 2, .sequences = 3},
          EngineOptions{.threads = 1, .exact = true}}) {
      Planner planner(path);
      planner.plan({.context = 64, .threads = 3});  // other plans before leave no trace
      const ModelPlan plan = planner.plan(options);
      const auto engine = Engine::load(path, options);
      const runtime::MemoryPlan& memory = engine->memory_plan();
      EXPECT_EQ(plan.memory.weights, memory.weights) << architecture;
      EXPECT_EQ(plan.memory.kv, memory.kv) << architecture;
      EXPECT_EQ(plan.memory.activations, memory.activations) << architecture;
      EXPECT_EQ(plan.memory.scratch, memory.scratch) << architecture;
      EXPECT_EQ(plan.options.context, engine->context());
      EXPECT_EQ(plan.options.threads, engine->threads());
      EXPECT_EQ(plan.options.k_type, engine->k_type());
      EXPECT_EQ(plan.options.v_type, engine->v_type());
    }
  }
}

// Counted by hand for a llama of 2 layers, width 64, 4 heads of 16 and 2 for keys, MLP of 96, 262 tokens.
TEST_F(PlanTest, CountsTheWorkOfAToken) {
  Planner planner(write({}));
  const ModelPlan plan = planner.plan({.k_type = DType::f16, .v_type = DType::f16, .threads = 1});
  const double layer = 64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 64 * 96, head = 262 * 64;
  ASSERT_EQ(plan.work.products.size(), 1U);
  EXPECT_EQ(plan.work.products[0].type, DType::f32);
  EXPECT_EQ(plan.work.products[0].flops, 2 * 2 * layer);
  EXPECT_EQ(plan.work.products[0].head_flops, 2 * head);
  EXPECT_EQ(plan.work.weight_bytes(), 4 * (2 * layer + head));
  EXPECT_EQ(plan.work.kv_bytes(10), 10 * 2 * 2 * 32 * 2);
  EXPECT_EQ(plan.work.attention_flops(10), 10 * 2 * 2 * 4 * (16 + 16));
  EXPECT_EQ(plan.work.layers, 2);
}

TEST_F(PlanTest, ATokenReadsOnlyItsExperts) {
  const auto work_with = [&](std::int64_t used) {
    Planner planner(write({.architecture = "qwen3moe", .experts = 8, .experts_used = used}));
    return planner.plan({.threads = 1}).work;
  };
  const double one = work_with(1).weight_bytes(), three = work_with(3).weight_bytes();
  EXPECT_EQ(three - one, 2.0 * 2 * 3 * 64 * 96 * 4);  // two more experts, two layers, three matrices
}

TEST_F(PlanTest, WindowsBoundWhatIsSeen) {
  Planner planner(write({.architecture = "gemma3", .window = 16}));
  const ModelWork work = planner.plan({.threads = 1}).work;
  EXPECT_EQ(work.kv_bytes(400) - work.kv_bytes(300), (work.kv_bytes(16) / 2) * 100 / 16);
}

TEST_F(PlanTest, AnEmbeddingThatIsNoHeadNeedNotStay) {
  const ModelPlan tied = Planner(write({.tied = true})).plan({.threads = 1});
  EXPECT_EQ(tied.weights_resident, tied.memory.weights);
  const ModelPlan apart = Planner(write({.tied = false})).plan({.threads = 1});
  EXPECT_EQ(apart.weights_resident, apart.memory.weights - 262 * 64 * 4);
}

TEST_F(PlanTest, TouchesNoWeightsAndHoldsNoCache) {
  Planner planner = shape("llama-70b:f16");
  const ProcessMemory before = process_memory();
  const ModelPlan plan = planner.plan({.context = 131072, .threads = 2});
  const ProcessMemory after = process_memory();
  EXPECT_GT(plan.memory.weights, 140'000'000'000);
  EXPECT_GT(plan.memory.kv, 20'000'000'000);
  EXPECT_LT(after.resident, before.resident + 100'000'000);
}

TEST_F(PlanTest, ShapesHaveTheSizesOfTheirFiles) {
  // Of files that are published: Llama 3.1 8B in Q4_K_M and F16, 70B in Q4_K_M.
  EXPECT_NEAR(static_cast<double>(shape("llama-8b:q4_k_m").description().file_bytes), 4.92e9, 0.1e9);
  EXPECT_NEAR(static_cast<double>(shape("llama-8b:f16").description().file_bytes), 16.07e9, 0.05e9);
  EXPECT_NEAR(static_cast<double>(shape("llama-70b:q4_k_m").description().file_bytes), 42.5e9, 1e9);
}

TEST_F(PlanTest, RefusesWhatLoadingRefuses) {
  const auto path = write({.head_dim = 16});
  Planner planner(path);
  EXPECT_THROW(planner.plan({.k_type = DType::q8_0, .v_type = DType::q8_0}), Error);
  EXPECT_NO_THROW(planner.plan({}));
}

TEST(Configurations, NearestFirstAndAllFit) {
  Planner planner = shape("llama-8b:q4_k_m");
  const EngineOptions options{.context = 32768, .threads = 2};
  const std::int64_t limit = 5'700'000'000;
  ASSERT_GT(memory_need(planner.plan(options)).total(), limit);
  const auto found =
      nearest_configurations(planner, {.options = options, .limit = limit}, "synthetic:llama-8b:q4_k_m");
  ASSERT_EQ(found.size(), 3U);
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_LE(found[i].bytes, limit);
    EXPECT_FALSE(found[i].flags.empty() && found[i].model.empty());
    if (i > 0) {
      EXPECT_GE(found[i].loss, found[i - 1].loss);
    }
    if (!found[i].model.empty()) continue;
    EXPECT_EQ(memory_need(planner.plan(found[i].options)).total(), found[i].bytes);
  }
}

TEST(Configurations, FloatsInTheCacheAreGivenUpFirst) {
  Planner planner = shape("llama-1b:q4_k_m");
  const EngineOptions options{.context = 32768, .k_type = DType::f16, .v_type = DType::f16, .threads = 2};
  EngineOptions q8 = options;
  q8.k_type = q8.v_type = DType::q8_0;
  const std::int64_t limit = memory_need(planner.plan(q8)).total();
  const auto found = fitting_settings(planner, {.options = options, .limit = limit});
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].flags, "--kv-type q8_0");
  EXPECT_EQ(found[0].bytes, limit);
}

TEST(Configurations, WhatIsWantedComesFirstIfItFits) {
  Planner planner = shape("llama-1b:q4_k_m");
  const auto found = fitting_settings(planner, {.options = {.context = 4096}, .limit = 100'000'000'000});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].flags, "");
  EXPECT_EQ(found[0].loss, 0);
}

TEST(Configurations, ContextsAreAsLargeAsFits) {
  Planner planner = shape("llama-1b:q4_k_m");
  const std::int64_t limit = 1'100'000'000;
  const Wanted wanted{
      .options = {.context = 131072, .threads = 2}, .limit = limit, .may = {.kv_type = false}};
  const auto found = fitting_settings(planner, wanted);
  ASSERT_EQ(found.size(), 1U);
  EngineOptions more = found[0].options;
  more.context += 1280;
  EXPECT_GT(memory_need(planner.plan(more)).total(), limit);
}

TEST(Configurations, OtherModelsWhereTheseWeightsAreTooMany) {
  Planner planner = shape("llama-8b:f16");
  const auto found = nearest_configurations(
      planner, {.options = {.context = 8192, .threads = 2}, .limit = 11'000'000'000}, "llama3.1:8b-f16");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].model, "llama3.1:8b-q8_0");
  for (const Configuration& c : found) EXPECT_FALSE(c.model.empty());
}

TEST(Configurations, NothingFitsIntoNothing) {
  Planner planner = shape("llama-1b:q4_k_m");
  EXPECT_TRUE(nearest_configurations(planner, {.options = {}, .limit = 1'000'000}, "x.gguf").empty());
}

}  // namespace
}  // namespace medlar::host
