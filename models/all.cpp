// The one list of architectures.
#include "models/all.h"

#include <array>

namespace medlar::models {

std::span<const Architecture> architectures() {
  static constexpr std::array<Architecture, 5> kAll = {{
      {"llama", "Llama 2 and 3, Mistral, Mixtral, SmolLM2", build_llama},
      {"qwen2", "Qwen 2 and 2.5", build_qwen2},
      {"qwen3", "Qwen 3", build_qwen3},
      {"qwen3moe", "Qwen 3 with experts", build_qwen3_moe},
      {"gemma3", "Gemma 3 (text)", build_gemma3},
  }};
  return kAll;
}

}  // namespace medlar::models
