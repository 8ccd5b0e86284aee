// Mixes: the type of each tensor, by llama-quantize's rules. tests/python/test_quantize.py compares whole
// models.
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "quant/mix.h"

namespace medlar::quant {
namespace {

struct Model {
  std::vector<std::string> names;
  std::vector<gguf::Tensor> tensors;
  ModelFacts facts;

  std::map<std::string, DType> types(std::string_view mix, const MixOptions& options = {}) const {
    const auto chosen = choose_types(tensors, facts, find_mix(mix), options);
    std::map<std::string, DType> types;
    for (std::size_t i = 0; i < chosen.size(); ++i) types.emplace(names[i], chosen[i].type);
    return types;
  }
};

// 32 layers, 32 heads that share 8 keys, an own head.
Model llama(std::int64_t dim = 4096) {
  Model m;
  m.facts = {.architecture = "llama", .layers = 32, .heads = 32, .kv_heads = 8, .experts = 0};
  m.names = {"token_embd.weight", "output_norm.weight", "output.weight"};
  for (int i = 0; i < 32; ++i)
    for (const char* part :
         {"attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
      m.names.push_back("blk." + std::to_string(i) + "." + part + ".weight");
  for (const std::string& name : m.names) {
    const bool vector = name.contains("_norm");
    m.tensors.push_back({name,
                         {.type = vector ? DType::f32 : DType::f16,
                          .shape = vector ? Shape{dim} : Shape{dim, dim},
                          .bytes = {}}});
  }
  return m;
}

TEST(Mix, Q4KMGivesMoreBitsToSomeLayers) {
  const auto types = llama().types("q4_k_m");
  EXPECT_EQ(types.at("output.weight"), DType::q6_k);
  EXPECT_EQ(types.at("token_embd.weight"), DType::q4_k);
  EXPECT_EQ(types.at("output_norm.weight"), DType::f32);
  EXPECT_EQ(types.at("blk.5.attn_q.weight"), DType::q4_k);
  std::vector<int> more;
  for (int i = 0; i < 32; ++i) {
    const std::string layer = "blk." + std::to_string(i);
    EXPECT_EQ(types.at(layer + ".ffn_down.weight"), types.at(layer + ".attn_v.weight"));
    if (types.at(layer + ".ffn_down.weight") == DType::q6_k) more.push_back(i);
  }
  // The published 8B file's.
  EXPECT_EQ(more, (std::vector{0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31}));
}

TEST(Mix, CoarseMixesKeepAttentionFiner) {
  const auto q2 = llama().types("Q2_K");
  EXPECT_EQ(q2.at("blk.0.attn_v.weight"), DType::q4_k);
  EXPECT_EQ(q2.at("blk.0.attn_output.weight"), DType::q3_k);
  EXPECT_EQ(q2.at("blk.9.ffn_down.weight"), DType::q3_k);
  EXPECT_EQ(q2.at("blk.9.ffn_up.weight"), DType::q2_k);
  const auto q3 = llama().types("Q3_K_M");
  EXPECT_EQ(q3.at("blk.1.attn_v.weight"), DType::q5_k);
  EXPECT_EQ(q3.at("blk.2.attn_v.weight"), DType::q4_k);
  EXPECT_EQ(q3.at("blk.1.ffn_down.weight"), DType::q5_k);
  EXPECT_EQ(q3.at("blk.2.ffn_down.weight"), DType::q4_k);
}

TEST(Mix, AnImatrixMakesUpForEarlyLayers) {
  EXPECT_EQ(llama().types("iq4_xs").at("blk.3.ffn_down.weight"), DType::q5_k);
  EXPECT_EQ(llama().types("iq4_xs", {.has_imatrix = true, .rules = {}}).at("blk.3.ffn_down.weight"),
            DType::iq4_xs);
  EXPECT_EQ(llama().types("q4_0").at("blk.3.ffn_down.weight"), DType::q4_0);
  EXPECT_EQ(llama().types("q4_0", {.has_imatrix = true, .rules = {}}).at("blk.3.ffn_down.weight"),
            DType::q4_1);
}

TEST(Mix, OddWidthsTakeBlocksThatDivide) {
  const auto types = llama(576).types("Q4_K_S");
  EXPECT_EQ(types.at("blk.9.attn_q.weight"), DType::q5_0);
  EXPECT_EQ(types.at("output.weight"), DType::q8_0);
  EXPECT_EQ(type_that_divides(DType::q3_k, 96), DType::q4_0);
  EXPECT_EQ(type_that_divides(DType::q5_k, 96), DType::q5_1);
  EXPECT_EQ(type_that_divides(DType::q6_k, 96), DType::q8_0);
  EXPECT_EQ(type_that_divides(DType::iq4_xs, 96), DType::iq4_nl);
  EXPECT_EQ(type_that_divides(DType::q4_k, 100), DType::f16);
  EXPECT_EQ(type_that_divides(DType::q8_0, 100), DType::f16);
  EXPECT_EQ(type_that_divides(DType::q4_k, 512), DType::q4_k);
}

TEST(Mix, ExpertsAndTheirRouter) {
  Model m;
  m.facts = {.architecture = "qwen3moe", .layers = 1, .heads = 4, .kv_heads = 4, .experts = 4};
  m.names = {"blk.0.ffn_gate_inp.weight", "blk.0.ffn_up_exps.weight", "blk.0.attn_q.weight"};
  m.tensors = {{m.names[0], {.type = DType::f32, .shape = {4, 256}, .bytes = {}}},
               {m.names[1], {.type = DType::f16, .shape = {4, 256, 256}, .bytes = {}}},
               {m.names[2], {.type = DType::f16, .shape = {256, 256}, .bytes = {}}}};
  const auto types = m.types("MXFP4");
  EXPECT_EQ(types.at(m.names[0]), DType::f32);
  EXPECT_EQ(types.at(m.names[1]), DType::mxfp4);
  EXPECT_EQ(types.at(m.names[2]), DType::q8_0);
}

TEST(Mix, RulesComeFirst) {
  const TypeRule rules[] = {TypeRule::parse("ffn_down=q8_0"), TypeRule::parse("blk\\.3\\..*=Q6_K")};
  const auto types = llama().types("q4_k_s", {.has_imatrix = false, .rules = rules});
  EXPECT_EQ(types.at("blk.3.ffn_down.weight"), DType::q8_0);
  EXPECT_EQ(types.at("blk.3.ffn_up.weight"), DType::q6_k);
  EXPECT_EQ(types.at("blk.4.ffn_up.weight"), DType::q4_k);
  EXPECT_EQ(types.at("blk.3.attn_norm.weight"), DType::f32);
}

TEST(Mix, WrongNamesAndRulesAreRefused) {
  EXPECT_EQ(find_mix("q4_k").name, "Q4_K_M");
  EXPECT_THROW(find_mix("q4_k_x"), Error);
  for (const char* text : {"", "=", "a", "a=", "=q4_0", "a=q9", "a=i32", "(=q4_0"})
    EXPECT_THROW(TypeRule::parse(text), Error) << text;
}

}  // namespace
}  // namespace medlar::quant
