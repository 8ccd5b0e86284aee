// The shapes and type mixes that can be synthesized, and the tensors that follow from them.
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include <fmt/ranges.h>

#include "base/error.h"
#include "formats/all.h"
#include "tune/synth.h"

namespace medlar::tune {
namespace {

constexpr std::array<SynthShape, 9> kShapes = {{
    {.name = "smollm2-135m",
     .title = "SmolLM2 135M",
     .layers = 30,
     .dim = 576,
     .ffn = 1536,
     .heads = 9,
     .kv_heads = 3,
     .head_dim = 64,
     .vocab = 49152,
     .context = 8192,
     .rope_theta = 100000,
     .tied = true,
     .pre_tokenizer = "smollm",
     .catalogue = "smollm2:135m"},
    {.name = "llama-1b",
     .title = "Llama 3.2 1B",
     .layers = 16,
     .dim = 2048,
     .ffn = 8192,
     .heads = 32,
     .kv_heads = 8,
     .head_dim = 64,
     .vocab = 128256,
     .context = 131072,
     .rope_theta = 500000,
     .tied = true,
     .pre_tokenizer = "llama-bpe",
     .catalogue = "llama3.2:1b"},
    {.name = "llama-3b",
     .title = "Llama 3.2 3B",
     .layers = 28,
     .dim = 3072,
     .ffn = 8192,
     .heads = 24,
     .kv_heads = 8,
     .head_dim = 128,
     .vocab = 128256,
     .context = 131072,
     .rope_theta = 500000,
     .tied = true,
     .pre_tokenizer = "llama-bpe",
     .catalogue = "llama3.2:3b"},
    {.name = "llama-8b",
     .title = "Llama 3.1 8B",
     .layers = 32,
     .dim = 4096,
     .ffn = 14336,
     .heads = 32,
     .kv_heads = 8,
     .head_dim = 128,
     .vocab = 128256,
     .context = 131072,
     .rope_theta = 500000,
     .tied = false,
     .pre_tokenizer = "llama-bpe",
     .catalogue = "llama3.1:8b"},
    {.name = "llama-70b",
     .title = "Llama 3.1 70B",
     .layers = 80,
     .dim = 8192,
     .ffn = 28672,
     .heads = 64,
     .kv_heads = 8,
     .head_dim = 128,
     .vocab = 128256,
     .context = 131072,
     .rope_theta = 500000,
     .tied = false,
     .pre_tokenizer = "llama-bpe"},
    {.name = "llama2-7b",
     .title = "Llama 2 7B",
     .layers = 32,
     .dim = 4096,
     .ffn = 11008,
     .heads = 32,
     .kv_heads = 32,
     .head_dim = 128,
     .vocab = 32000,
     .context = 4096,
     .rope_theta = 10000,
     .tied = false,
     .pre_tokenizer = "llama-bpe"},
    {.name = "ministral-3b",
     .title = "Ministral 3 3B",
     .layers = 26,
     .dim = 3072,
     .ffn = 9216,
     .heads = 32,
     .kv_heads = 8,
     .head_dim = 128,
     .vocab = 131072,
     .context = 262144,
     .rope_theta = 1000000,
     .tied = true,
     .pre_tokenizer = "llama-bpe"},
    {.name = "moe-4b-a0.6b",
     .title = "small Qwen3 MoE",
     .layers = 24,
     .dim = 1024,
     .ffn = 3072,
     .heads = 16,
     .kv_heads = 4,
     .head_dim = 128,
     .vocab = 151936,
     .context = 32768,
     .rope_theta = 1000000,
     .tied = true,
     .pre_tokenizer = "qwen2",
     .experts = 96,
     .experts_used = 8,
     .expert_ffn = 512},
    {.name = "moe-a3b",
     .title = "Qwen3 30B A3B",
     .layers = 48,
     .dim = 2048,
     .ffn = 6144,
     .heads = 32,
     .kv_heads = 4,
     .head_dim = 128,
     .vocab = 151936,
     .context = 40960,
     .rope_theta = 1000000,
     .tied = false,
     .pre_tokenizer = "qwen2",
     .catalogue = "qwen3:30b-a3b",
     .experts = 128,
     .experts_used = 8,
     .expert_ffn = 768},
}};

constexpr SynthMix uniform(std::string_view name, DType type, std::uint32_t file_type) {
  return {name, type, type, type, file_type};
}

// Numbers of general.file_type as in GGUF's specification.
constexpr std::array<SynthMix, 27> kMixes = {{
    uniform("f32", DType::f32, 0),
    uniform("f16", DType::f16, 1),
    uniform("bf16", DType::bf16, 32),
    uniform("q8_0", DType::q8_0, 7),
    uniform("q4_0", DType::q4_0, 2),
    uniform("q4_1", DType::q4_1, 3),
    uniform("q5_0", DType::q5_0, 8),
    uniform("q5_1", DType::q5_1, 9),
    {"q4_k_m", DType::q4_k, DType::q6_k, DType::q6_k, 15},
    uniform("q4_k", DType::q4_k, 14),
    uniform("q5_k", DType::q5_k, 16),
    uniform("q6_k", DType::q6_k, 18),
    uniform("iq4_nl", DType::iq4_nl, 25),
    uniform("iq4_xs", DType::iq4_xs, 30),
    uniform("mxfp4", DType::mxfp4, 38),
    uniform("q2_k", DType::q2_k, 10),
    uniform("q3_k", DType::q3_k, 11),
    uniform("iq3_s", DType::iq3_s, 26),
    uniform("iq3_xxs", DType::iq3_xxs, 23),
    uniform("iq2_s", DType::iq2_s, 28),
    uniform("iq2_xs", DType::iq2_xs, 20),
    uniform("iq2_xxs", DType::iq2_xxs, 19),
    uniform("iq1_m", DType::iq1_m, 31),
    uniform("iq1_s", DType::iq1_s, 24),
    uniform("tq2_0", DType::tq2_0, 37),
    uniform("tq1_0", DType::tq1_0, 36),
    uniform("nvfp4", DType::nvfp4, 39),
}};

template <class Entries>
auto find_by_name(const Entries& entries, std::string_view what, std::string_view name) {
  const auto found = std::ranges::find(entries, name, [](const auto& e) { return e.name; });
  if (found != entries.end()) return *found;
  std::vector<std::string_view> names;
  for (const auto& e : entries) names.push_back(e.name);
  throw Error(ErrorKind::usage, fmt::format("there is no {} \"{}\"", what, name),
              fmt::format("choose one of {}", fmt::join(names, " ")));
}

// Blocks of 32 that take the place of blocks of 256, with a little more bits.
DType narrow_block(DType type) {
  switch (type) {
    case DType::q4_k:
      return DType::q5_0;
    case DType::q5_k:
      return DType::q5_1;
    case DType::q6_k:
      return DType::q8_0;
    default:
      return format_info(type).block_length > format_info(DType::iq4_nl).block_length ? DType::iq4_nl
                                                                                      : DType::f16;
  }
}

DType fitting(DType type, std::int64_t columns) {
  while (columns % format_info(type).block_length != 0) type = narrow_block(type);
  return type;
}

// The first and last eighth of the layers, and every third between.
bool gets_more_bits(std::int64_t layer, std::int64_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

}  // namespace

std::span<const SynthShape> synth_shapes() { return kShapes; }
std::span<const SynthMix> synth_mixes() { return kMixes; }

SynthModel parse_synth(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == text.npos)
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is no synthetic model", text),
                "write SHAPE:TYPE, as in llama-1b:q4_k_m");
  return {.shape = find_by_name(kShapes, "shape", text.substr(0, colon)),
          .mix = find_by_name(kMixes, "type", text.substr(colon + 1))};
}

std::vector<SynthTensor> synth_tensors(const SynthModel& model) {
  const auto& [s, mix] = model;
  std::vector<SynthTensor> tensors;
  const auto matrix = [&](std::string name, DType type, std::int64_t rows, std::int64_t columns) {
    tensors.push_back({std::move(name), fitting(type, columns), {rows, columns}});
  };
  const auto stack = [&](std::string name, DType type, std::int64_t rows, std::int64_t columns) {
    tensors.push_back({std::move(name), fitting(type, columns), {s.experts, rows, columns}});
  };
  const auto norm = [&](std::string name, std::int64_t width) {
    tensors.push_back({std::move(name), DType::f32, {width}});
  };
  matrix("token_embd.weight", s.tied ? mix.vocabulary : mix.type, s.vocab, s.dim);
  norm("output_norm.weight", s.dim);
  if (!s.tied) matrix("output.weight", mix.vocabulary, s.vocab, s.dim);
  const std::int64_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  for (std::int64_t i = 0; i < s.layers; ++i) {
    const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}.weight", i, part); };
    const DType more = gets_more_bits(i, s.layers) ? mix.more : mix.type;
    norm(name("attn_norm"), s.dim);
    matrix(name("attn_q"), mix.type, q, s.dim);
    matrix(name("attn_k"), mix.type, kv, s.dim);
    matrix(name("attn_v"), more, kv, s.dim);
    matrix(name("attn_output"), mix.type, s.dim, q);
    if (s.experts > 0) norm(name("attn_q_norm"), s.head_dim), norm(name("attn_k_norm"), s.head_dim);
    norm(name("ffn_norm"), s.dim);
    if (s.experts > 0) {
      tensors.push_back({name("ffn_gate_inp"), DType::f32, {s.experts, s.dim}});
      stack(name("ffn_gate_exps"), mix.type, s.expert_ffn, s.dim);
      stack(name("ffn_up_exps"), mix.type, s.expert_ffn, s.dim);
      stack(name("ffn_down_exps"), more, s.dim, s.expert_ffn);
    } else {
      matrix(name("ffn_gate"), mix.type, s.ffn, s.dim);
      matrix(name("ffn_up"), mix.type, s.ffn, s.dim);
      matrix(name("ffn_down"), more, s.dim, s.ffn);
    }
  }
  return tensors;
}

}  // namespace medlar::tune
