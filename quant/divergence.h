// How far a model of the same tensors is from another, measured on a text, and how much of it each group of
// tensors gives: files that differ in single tensors are made in place, in a scratch copy of the model.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/team.h"
#include "checkpoint/gguf.h"
#include "eval/kl_base.h"
#include "eval/windows.h"

namespace medlar::quant {

struct DivergenceOptions {
  std::shared_ptr<Team> team;                 // not null
  const std::atomic<bool>* cancel = nullptr;  // looked at before every step of the model
  std::function<void(std::int64_t done, std::int64_t total)> on_measured;  // models
};

// A folder that is removed with all that is in it.
class ScratchFolder {
 public:
  // Throws Error: usage where it exists, io.
  explicit ScratchFolder(std::filesystem::path path);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class Divergence {
 public:
  // Copies the model with all its weights as 16-bit floats to `scratch`, a folder that is removed at last,
  // and reads the windows. Throws what quantize() and the engine throw; Error(cancelled).
  Divergence(const gguf::File& model, const eval::Windows& windows, std::filesystem::path scratch,
             const DivergenceOptions& options);

  // Mean KL divergence, in nats, of a file from the copy.
  double of(const std::filesystem::path& file) const;
  // The same where only these tensors of the copy have the values that a type gives them; `types` of each.
  double with(std::span<const std::size_t> tensors, std::span<const DType> types,
              const std::vector<std::vector<float>>& means);

  const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  void put(std::size_t tensor, DType type, std::span<const float> means);

  const gguf::File& model_;
  const eval::Windows& windows_;
  ScratchFolder folder_;
  std::filesystem::path copy_;
  const DivergenceOptions& options_;
  std::vector<std::uint64_t> offsets_;  // of each tensor in the copy
  std::vector<DType> types_;            // in the copy
  std::unique_ptr<eval::KlBase> base_;
};

}  // namespace medlar::quant
