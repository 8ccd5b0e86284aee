// Weights as MLX quantizes them: codes packed in words, and what each group of them counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "checkpoint/safetensors.h"
#include "huggingface/config.h"

namespace medlar::huggingface {

// Codes follow one another from the lowest bit of a row's bytes on, across word boundaries.
struct Packed {
  enum class Kind : std::uint8_t {
    affine,  // scale * code + bias
    mxfp4,   // E2M1 times a power of two (E8M0) for each 32
    nvfp4,   // E2M1 times E4M3 for each 16
  };
  Kind kind = Kind::affine;
  const safetensors::Tensor* codes = nullptr;   // U32, (..., columns * bits / 32)
  const safetensors::Tensor* scales = nullptr;  // (..., columns / group)
  const safetensors::Tensor* biases = nullptr;  // affine: as scales
  std::int64_t bits = 0, group = 0, columns = 0;

  // The format that holds such rows exactly as far as f16 holds scales and biases: Q4_1 for affine codes of
  // up to 4 bits, Q5_1 for 5, MXFP4; else F16, which rounds.
  DType type() const;
  bool is_exact() const { return type() != DType::f16; }

  // Row `row` of all as floats; as blocks of type(), where is_exact().
  void decode(std::int64_t row, float* out) const;
  void encode(std::int64_t row, std::byte* out) const;
};

// The quantization of the tensor `weight`, which has scales beside it; nothing for one that has none.
// `config` is config.json: its "quantization" says group and mode, for all modules or for this one. Throws
// Error(bad_file) naming the tensor whose shape disagrees and Error(unsupported) for other modes.
std::optional<Packed> find_packed(const safetensors::Files& files, const safetensors::Tensor& weight,
                                  const Config& config);

// Whether the tensor is the scales or biases of a packed one.
bool belongs_to_packed(const safetensors::Files& files, const safetensors::Tensor& tensor);

}  // namespace medlar::huggingface
