// Opening a LoRA adapter: a GGUF file, or a folder as PEFT saves it.
#pragma once

#include <filesystem>

#include "checkpoint/gguf.h"

namespace medlar::huggingface {

// For a folder (adapter_config.json, adapter_model.safetensors): what a GGUF adapter of `base` would hold,
// for models::Adapter. Matrices stay pages of the file except where rows are in another order in `base`,
// which are copied. Throws Error: not_found, bad_file and unsupported naming file and field or tensor.
gguf::File open_adapter(const std::filesystem::path& path, const gguf::File& base);

}  // namespace medlar::huggingface
