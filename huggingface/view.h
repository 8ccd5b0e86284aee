// A model's folder as Hugging Face has it, seen as what GGUF would hold: metadata and named tensors. Nothing
// is converted yet. docs/converting.md has the whole of it.
#pragma once

#include <filesystem>
#include <vector>

#include "checkpoint/gguf_values.h"
#include "checkpoint/safetensors.h"
#include "huggingface/families.h"
#include "huggingface/recipe.h"

namespace medlar::huggingface {

struct View {
  std::filesystem::path folder;
  const Family* family = nullptr;
  gguf::Values values;  // all but general.file_type
  safetensors::Files files;
  std::vector<Recipe> tensors;  // by name; pointing into files

  // Of the published matrices, the one with the most bytes.
  DType type() const;
};

// Reads config.json, the tokenizer's files and the weights' headers. Throws Error: not_found naming a file
// that is missing; bad_file naming file and field; unsupported naming a family, a quantization, a
// pre-tokenizer or a tensor that has no place in GGUF.
View read_view(const std::filesystem::path& folder);

}  // namespace medlar::huggingface
