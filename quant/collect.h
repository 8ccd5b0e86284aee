// Importance from a text: a model reads its windows, and the inputs of its products are added up.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "checkpoint/gguf.h"
#include "engine/engine.h"
#include "eval/windows.h"
#include "quant/imatrix.h"

namespace medlar::quant {

struct CollectOptions {
  std::int64_t first = 0;                               // window to begin with
  const std::atomic<bool>* cancel = nullptr;            // looked at before every window
  std::function<void(std::int64_t windows)> on_window;  // so many were read, `to` is whole; may throw
};

// For engines that collect: a whole window in the context, everything in f32, on the CPU.
EngineOptions collecting(EngineOptions options, const eval::Windows& windows);

// Adds the windows to `to`: of the tensors within the model's layers, as llama-imatrix does. False:
// cancelled. Throws Error(bad_file) naming a tensor whose inputs are no numbers.
bool collect(Engine& engine, const gguf::File& model, const eval::Windows& windows, Imatrix& to,
             const CollectOptions& options);

}  // namespace medlar::quant
