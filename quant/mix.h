// The usual mixes of types, as llama.cpp's llama-quantize has them: which tensors of a model get more bits
// than the mix is named for, and which stay as they are.
#pragma once

#include <cstdint>
#include <regex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf.h"

namespace medlar::quant {

struct Mix {
  std::string_view name;        // "Q4_K_M"
  std::uint32_t file_type = 0;  // general.file_type
  DType type = DType::f32;      // of most tensors
};
std::span<const Mix> mixes();
// Letters of either case; "Q4_K" is Q4_K_M. Throws Error(usage) listing the names.
const Mix& find_mix(std::string_view name);

// What a mix looks at beside the tensors.
struct ModelFacts {
  std::string architecture;
  std::int64_t layers = 0, heads = 0, kv_heads = 0, experts = 0;

  static ModelFacts of(const gguf::Metadata& metadata);
};

struct TypeChoice {
  DType type = DType::f32;
  DType wanted = DType::f32;  // another one: its blocks do not divide the tensor's rows
};

// "REGEX=TYPE" for tensors in whose name REGEX is found.
struct TypeRule {
  std::string text;
  std::regex pattern;
  DType type = DType::f32;

  // Throws Error(usage).
  static TypeRule parse(const std::string& text);
};

struct MixOptions {
  bool has_imatrix = false;
  std::span<const TypeRule> rules;  // the first that matches counts, before the mix
};

// One of each tensor, in their order. Tensors with `allows_quantization` false keep their type.
std::vector<TypeChoice> choose_types(std::span<const gguf::Tensor> tensors, const ModelFacts& facts,
                                     const Mix& mix, const MixOptions& options = {});

// Matrices, but not norms, routers and other small ones that cost much where they are coarse.
bool allows_quantization(const gguf::Tensor& tensor);

// `type`, or what llama-quantize takes instead where its blocks do not divide rows of so many columns.
DType type_that_divides(DType type, std::int64_t columns);

}  // namespace medlar::quant
