// One declaration for each file in this folder that is an architecture.
#pragma once

#include "models/model.h"

namespace medlar::models {

Model build_llama(const gguf::File& file);
Model build_qwen2(const gguf::File& file);
Model build_qwen3(const gguf::File& file);
Model build_qwen3_moe(const gguf::File& file);
Model build_gemma3(const gguf::File& file);

}  // namespace medlar::models
