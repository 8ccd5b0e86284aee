// A model with one timeline of random tokens: what benchmarks feed and time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace medlar::tune {

class Workload {
 public:
  // Throws what Engine::load throws.
  Workload(const std::filesystem::path& path, const EngineOptions& options);

  const Engine& engine() const { return *engine_; }
  // Makes the timeline its first `count` tokens, reading those that it lacks. Throws what Session::feed
  // throws.
  void feed(std::int64_t count);
  void reset() { session_.reset(); }

 private:
  std::shared_ptr<Engine> engine_;
  Session session_;
  std::vector<std::int32_t> tokens_;  // as many as the context holds
};

// "llama 135M q4_1"
std::string model_type(const ModelDescription& description);

}  // namespace medlar::tune
