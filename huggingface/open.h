// Opening any model: a GGUF file, or the folder of one as Hugging Face has it.
#pragma once

#include <filesystem>

#include "checkpoint/gguf.h"

namespace medlar::huggingface {

// A folder's matrices stay pages of its files; vectors are copied, as f32. Where a matrix could not be run
// as it stands in the file: Error(unsupported) naming it, with the command that converts the folder. Throws
// as gguf::File::open() and read_view() do.
gguf::File open_model(const std::filesystem::path& path);

}  // namespace medlar::huggingface
