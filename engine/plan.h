// The plan of a model: what the program that would run takes and does, from the file's directory alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace medlar {

// What a model does for a token, counted over the operations of its graph.
struct ModelWork {
  // Products with weights of one type.
  struct Products {
    DType type = DType::f32;
    double bytes = 0;       // of weights read for one token; of experts those that a token uses
    double flops = 0;       // multiplications and additions for each token
    double head_flops = 0;  // the same, only for tokens whose logits are wanted
  };
  // Attention of the layers that share a window.
  struct Attention {
    std::int64_t window = 0;  // positions a token sees, itself included; 0: all
    double kv_bytes = 0;      // read for each position that a token sees
    double flops = 0;         // for each position that a token sees
  };
  std::vector<Products> products;  // by type
  std::vector<Attention> attention;
  std::int64_t layers = 0;  // with a cache
  // Of recurrent layers: bytes of states that a step reads and writes for a sequence, and work for each
  // token.
  double state_bytes = 0, state_flops = 0;

  double weight_bytes() const;  // read for one token
  // Of the cache, for a token at this depth; states are in both.
  double kv_bytes(double depth) const;
  double attention_flops(double depth) const;
};

struct ModelPlan {
  // What is on one device.
  struct Part {
    Device device = Device::cpu;
    std::string name;         // as it calls itself
    std::int64_t layers = 0;  // the first part has the embedding as well, the last the head
    runtime::MemoryPlan memory;
    runtime::DeviceMemory room;
    std::int64_t weights_resident = 0;
    ModelWork work;
  };
  EngineOptions options;       // nothing left open
  runtime::MemoryPlan memory;  // of the program, on all devices
  std::vector<Part> parts;     // in the order of the layers
  ModelWork work;
  std::int64_t weights_resident = 0;  // bytes of weights that every token reads, or may read
  std::int64_t table_bytes = 0;       // of the tokenizer
  std::int64_t directory_bytes = 0;   // of the file before its weights: metadata, vocabulary
};

// Plans of one model with any options. Opens the file and reads its directory, not its weights, and allocates
// no memory that grows with the model. One thread at a time.
class Planner {
 public:
  // Throws what opening a model file throws.
  explicit Planner(const std::filesystem::path& path);
  ~Planner();
  Planner(Planner&&) noexcept;
  Planner& operator=(Planner&&) noexcept;

  const ModelDescription& description() const;
  // What a file of the same model would have in matrices if their types were `type`: bytes of weights, for
  // choosing a quantization.
  std::int64_t weight_bytes_as(DType type) const;
  // What Engine::load() with these options would hold, and throws what it would: Error(unsupported) where
  // there is no kernel or the cache's type does not suit the model.
  ModelPlan plan(const EngineOptions& options);
  // Of the devices of each part that plan() told last, measured now (runtime::Backend).
  std::vector<std::optional<runtime::DeviceLimits>> measure_limits();
  // The ways in which `options` can be met here, the best first: where Device::automatic is a GPU, where that
  // has some of the layers, and the CPU.
  std::vector<EngineOptions> choices(const EngineOptions& options);
  // The engine itself, of the file as it is open. Throws what Engine::load() throws.
  std::shared_ptr<Engine> load(const EngineOptions& options) &&;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace medlar
