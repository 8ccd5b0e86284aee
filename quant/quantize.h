// Writes a model with other types: read by mapping, encoded by all threads, written as a stream.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/team.h"
#include "checkpoint/gguf.h"
#include "quant/imatrix.h"
#include "quant/mix.h"

namespace medlar::quant {

struct QuantizeOptions {
  const Imatrix* imatrix = nullptr;
  std::string imatrix_name;     // as the file will say
  bool thorough = false;        // search longer; an importance matrix implies it
  bool keep_split = false;      // as many files as the model has
  std::uint32_t file_type = 0;  // general.file_type
  // Bytes of the model that were read, and all of them. May throw to stop.
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress;
};

struct QuantizeReport {
  std::uint64_t bytes_before = 0, bytes_after = 0;  // of tensors
  std::int64_t weights = 0;
  std::vector<std::filesystem::path> files;
  std::vector<std::string> without_importance;  // tensors that the importance matrix does not have
};

// Bytes of all tensors with these types, one of each. Throws Error(bad_file) where they do not fit.
std::uint64_t tensor_bytes(const gguf::File& model, std::span<const DType> types);

// Writes `model` to `path` with these types, one of each tensor; other tensors are copied. The files appear
// when all are complete. Throws Error: bad_file naming tensor and element for what is not a finite number,
// and where importance and tensor have different columns; usage where a file would take a part's place;
// unsupported for values beyond a type; no_space and io.
QuantizeReport quantize(const gguf::File& model, const std::filesystem::path& path,
                        std::span<const DType> types, Team& team, const QuantizeOptions& options);

}  // namespace medlar::quant
