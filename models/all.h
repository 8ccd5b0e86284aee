// The one list of architectures: X(id, general.architecture, title), each a file of this folder with
// build_id().
#pragma once

#include "models/model.h"

#define MEDLAR_ARCHITECTURES(X)                                 \
  X(llama, "llama", "Llama 2 and 3, Mistral, Mixtral, SmolLM2") \
  X(qwen2, "qwen2", "Qwen 2 and 2.5")                           \
  X(qwen3, "qwen3", "Qwen 3")                                   \
  X(qwen3moe, "qwen3moe", "Qwen 3 with experts")                \
  X(gemma3, "gemma3", "Gemma 3 (text)")

namespace medlar::models {

#define MEDLAR_DECLARE(id, name, title) Model build_##id(const Source& source);
MEDLAR_ARCHITECTURES(MEDLAR_DECLARE)
#undef MEDLAR_DECLARE

}  // namespace medlar::models
