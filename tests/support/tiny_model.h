// Tiny random models, so that tests need no download: a valid GGUF of any architecture, width and weight
// type.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "formats/dtype.h"

namespace medlar::testing {

struct TinyModel {
  std::string architecture = "llama";  // llama, qwen2, qwen3, qwen3moe, gemma3
  DType type = DType::f32;             // of matrices; norms and biases are f32
  std::int64_t layers = 2, dim = 64, ffn = 96, heads = 4, kv_heads = 2, head_dim = 16;
  std::int64_t experts = 0, experts_used = 2;  // 0: an MLP; ffn is the width of one
  std::int64_t context = 512;
  std::int64_t window = 16;  // gemma3's sliding window; every second layer is global
  bool tied = true;          // the head shares the embedding's weights
  std::uint64_t seed = 1;
};

// The vocabulary: 256 byte-level tokens, "th", "the", and the last four: <|endoftext|> <|im_start|>
// <|im_end|> <pad>.
inline constexpr std::int64_t kTinyVocab = 262;

// Writes the model. A matrix whose rows are no whole number of `type`'s blocks is stored as f32.
void write_tiny_model(const std::filesystem::path& path, const TinyModel& model = {});

// A folder that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace medlar::testing
