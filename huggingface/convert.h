// Writing a model's folder as a GGUF file, tensor by tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "formats/dtype.h"
#include "huggingface/view.h"

namespace medlar::huggingface {

struct ConvertOptions {
  std::optional<DType> type;  // of matrices; as they are without it
  int threads = 1;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // bytes written; may throw
};

struct ConvertReport {
  std::uint64_t bytes = 0;  // of tensor data written
  std::size_t tensors = 0;
  DType type = DType::f32;            // of the matrices
  std::vector<std::string> fallback;  // matrices that became F16: their rows are no whole blocks
  std::vector<std::string> rounded;   // that became F16 because no format holds what they were quantized to
};

// The file appears under its name when it is complete. Takes some tens of MB of memory, whatever the model.
// Throws Error: bad_file naming tensor and element where a value is not finite and the type cannot hold it,
// or is finite and too large for it; no_space and io as gguf::Writer does.
ConvertReport convert(const View& view, const std::filesystem::path& output,
                      const ConvertOptions& options = {});

// GGUF's general.file_type for matrices of this type.
std::uint32_t file_type(DType type);

}  // namespace medlar::huggingface
