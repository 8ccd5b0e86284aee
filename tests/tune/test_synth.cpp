// Synthetic models: names, published sizes, and files that load and run.
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "engine/engine.h"
#include "formats/all.h"
#include "tests/support/tiny_model.h"
#include "tune/synth.h"

namespace medlar::tune {
namespace {

using ::testing::HasSubstr;

std::int64_t parameters(const SynthModel& model) {
  std::int64_t count = 0;
  for (const SynthTensor& t : synth_tensors(model)) count += t.shape.elements();
  return count;
}

std::map<std::string, DType> types_of(std::string_view text) {
  std::map<std::string, DType> types;
  for (const SynthTensor& t : synth_tensors(parse_synth(text))) types[t.name] = t.type;
  return types;
}

// A shape small enough for a unit test, of every mix.
SynthModel small(const SynthMix& mix) {
  return {.shape = {.name = "small",
                    .title = "Small",
                    .layers = 2,
                    .dim = 256,
                    .ffn = 512,
                    .heads = 4,
                    .kv_heads = 2,
                    .head_dim = 64,
                    .vocab = 300,
                    .context = 128,
                    .rope_theta = 10000,
                    .tied = true,
                    .pre_tokenizer = "llama-bpe"},
          .mix = mix};
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Parameter counts as the models' cards and safetensors headers give them.
TEST(Synth, ShapesHaveThePublishedNumberOfParameters) {
  EXPECT_EQ(parameters(parse_synth("smollm2-135m:f16")), 134'515'008);
  EXPECT_EQ(parameters(parse_synth("llama-1b:f16")), 1'235'814'400);
  EXPECT_EQ(parameters(parse_synth("llama-3b:f16")), 3'212'749'824);
  EXPECT_EQ(parameters(parse_synth("llama-8b:f16")), 8'030'261'248);
  EXPECT_EQ(parameters(parse_synth("moe-a3b:f16")), 30'532'122'624);
}

// As its name says: 3.9 billion, of which a token uses 0.6.
TEST(Synth, ExpertShapesHaveTheSizeOfTheirName) {
  const SynthModel model = parse_synth("moe-4b-a0.6b:q4_k_m");
  std::int64_t used = 0, bytes = 0;
  for (const SynthTensor& t : synth_tensors(model)) {
    const bool stack = t.shape.rank() == 3;
    used += stack ? t.shape.elements() / model.shape.experts * model.shape.experts_used : t.shape.elements();
    bytes += row_bytes(t.type, t.shape.back()) * t.shape.rows();
    EXPECT_EQ(stack, t.name.ends_with("_exps.weight"));
  }
  EXPECT_NEAR(static_cast<double>(parameters(model)), 3.9e9, 0.05e9);
  EXPECT_NEAR(static_cast<double>(used), 0.6e9, 0.05e9);
  EXPECT_LT(bytes, 2'500'000'000);
  auto types = types_of("moe-4b-a0.6b:q4_k_m");
  EXPECT_EQ(types["blk.0.ffn_gate_inp.weight"], DType::f32);
  EXPECT_EQ(types["blk.5.ffn_gate_exps.weight"], DType::q4_k);
  EXPECT_EQ(types["blk.0.ffn_down_exps.weight"], DType::q6_k);
}

TEST(Synth, MixGivesSomeLayersMoreBits) {
  auto types = types_of("llama-8b:q4_k_m");
  EXPECT_EQ(types["token_embd.weight"], DType::q4_k);
  EXPECT_EQ(types["output.weight"], DType::q6_k);
  EXPECT_EQ(types["blk.0.attn_q.weight"], DType::q4_k);
  EXPECT_EQ(types["blk.0.attn_norm.weight"], DType::f32);
  for (const int layer : {0, 3, 6, 9, 27, 28, 31})
    EXPECT_EQ(types[fmt::format("blk.{}.ffn_down.weight", layer)], DType::q6_k) << layer;
  for (const int layer : {4, 5, 7, 26})
    EXPECT_EQ(types[fmt::format("blk.{}.attn_v.weight", layer)], DType::q4_k) << layer;
  EXPECT_EQ(types_of("llama-1b:q4_k_m")["token_embd.weight"], DType::q6_k);  // it is the head too
}

TEST(Synth, RowsThatAreNoWholeBlocksGetANarrowerType) {
  auto types = types_of("smollm2-135m:q4_k_m");
  EXPECT_EQ(types["token_embd.weight"], DType::q8_0);
  EXPECT_EQ(types["blk.10.attn_q.weight"], DType::q5_0);   // 576 columns
  EXPECT_EQ(types["blk.0.ffn_down.weight"], DType::q6_k);  // 1536 columns
}

TEST(Synth, NamesThatDoNotExistAreRefusedWithTheOnesThatDo) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"llama-1b", "llama-1b:q4_k_m"}, {"", "SHAPE:TYPE"},
      {"llama-9b:q4_0", "llama-8b"},   {":", "llama-8b"},
      {"llama-1b:q9", "q4_k_m"},       {"moe-a9b:q4_0", "moe-4b-a0.6b"}};
  for (const auto& [text, hint] : cases) {
    try {
      parse_synth(text);
      ADD_FAILURE() << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::usage) << text;
      EXPECT_THAT(e.hint(), HasSubstr(hint)) << text;
    }
  }
}

void expect_sound(const SynthModel& model) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "model.gguf";
  synthesize(path, model);
  const auto engine = Engine::load(path, {.context = 16, .threads = 1});
  EXPECT_EQ(engine->description().vocab, 300);
  EXPECT_EQ(engine->description().parameters, parameters(model));
  Session session = engine->open_session();
  const std::vector<std::int32_t> tokens = {1, 17, 299, 256};
  session.score(tokens, [&](std::int64_t, std::span<const float> logits) {
    double sum = 0, squares = 0;
    for (const float v : logits) sum += v, squares += static_cast<double>(v) * v;
    const auto n = static_cast<double>(logits.size());
    const double deviation = std::sqrt(squares / n - sum / n * sum / n);
    // Unit-variance activations against rows of unit length: near 1. Zero or exploding weights are far off.
    EXPECT_GT(deviation, 0.3) << model.mix.name;
    EXPECT_LT(deviation, 3) << model.mix.name;
  });
}

TEST(Synth, EveryMixLoadsAndGivesFiniteLogits) {
  for (const SynthMix& mix : synth_mixes()) {
    expect_sound(small(mix));
    SynthModel experts = small(mix);
    experts.shape.experts = 6, experts.shape.experts_used = 2, experts.shape.expert_ffn = 256;
    expect_sound(experts);
  }
}

TEST(Synth, EqualSeedsGiveEqualFiles) {
  const testing::TemporaryFolder folder;
  const SynthModel model = small(parse_synth("llama-1b:q4_0").mix);
  synthesize(folder / "a", model, {.seed = 5});
  synthesize(folder / "b", model, {.seed = 5});
  synthesize(folder / "c", model, {.seed = 6});
  EXPECT_EQ(contents(folder / "a"), contents(folder / "b"));
  EXPECT_NE(contents(folder / "a"), contents(folder / "c"));
}

TEST(Synth, ProgressEndsAtTheTotal) {
  const testing::TemporaryFolder folder;
  std::uint64_t last = 0, most = 0;
  synthesize(folder / "a", small(parse_synth("llama-1b:f32").mix),
             {.progress = [&](std::uint64_t done, std::uint64_t total) {
               EXPECT_GE(done, last);
               EXPECT_LE(done, total);
               last = done, most = total;
             }});
  EXPECT_GT(most, 0U);
  EXPECT_EQ(last, most);
}

}  // namespace
}  // namespace medlar::tune
