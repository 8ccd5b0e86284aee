// Synthetic models: GGUF files of real shapes with random weights, for speed without a download.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/dtype.h"
#include "tensor/tensor.h"

namespace medlar::tune {

// The dimensions of a decoder of the Llama family, or with experts of the Qwen 3 family, as published unless
// the title says otherwise.
struct SynthShape {
  std::string_view name;   // "llama-1b"
  std::string_view title;  // of the model that has this shape
  std::int64_t layers = 0, dim = 0, ffn = 0, heads = 0, kv_heads = 0, head_dim = 0, vocab = 0, context = 0;
  float rope_theta = 0;
  bool tied = true;                // the head shares the embedding's weights
  std::string_view pre_tokenizer;  // tokenizer.ggml.pre
  std::string_view catalogue;      // the name of a model of this shape in the catalogue; may be empty
  // 0: an MLP of width ffn; else experts of width expert_ffn, of which a token uses some.
  std::int64_t experts = 0, experts_used = 0, expert_ffn = 0;

  std::string_view architecture() const { return experts > 0 ? "qwen3moe" : "llama"; }
};
std::span<const SynthShape> synth_shapes();

// The types that a file is made of: mostly `type`, more bits where a mix says so.
struct SynthMix {
  std::string_view name;  // "q4_k_m"
  DType type = DType::f32;
  DType more = DType::f32;        // value and down projections of the layers that get more bits
  DType vocabulary = DType::f32;  // the head, and the embedding where it is the head
  std::uint32_t file_type = 0;    // general.file_type
};
std::span<const SynthMix> synth_mixes();

struct SynthModel {
  SynthShape shape;
  SynthMix mix;
};

// "llama-1b:q4_k_m". Throws Error(usage) listing the names that exist.
SynthModel parse_synth(std::string_view text);

struct SynthTensor {
  std::string name;
  DType type = DType::f32;
  Shape shape;
};

// Every tensor in file order. A matrix whose rows are no whole number of its type's blocks gets the next type
// in size with blocks of 32, as other quantizers do.
std::vector<SynthTensor> synth_tensors(const SynthModel& model);

struct SynthOptions {
  std::uint64_t seed = 1;
  bool weights = true;  // false: a hole in their place, for plans; it takes no room on the disk
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // bytes of weights
};

// Writes the file; equal seeds give equal bytes. Weights of matrices are normal with variance 1 / columns, so
// activations keep their size; norms are near one. Rows are windows into a few million encoded values, so
// writing runs at the speed of the disk. The vocabulary is the 256 bytes, one merge, an end token, and unused
// tokens up to the shape's number. Throws what gguf::Writer throws.
void synthesize(const std::filesystem::path& path, const SynthModel& model, const SynthOptions& options = {});

}  // namespace medlar::tune
