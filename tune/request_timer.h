// How long a request takes with given settings: what a search compares.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "engine/engine.h"

namespace medlar::tune {

struct Request {
  std::int64_t prompt = 512, gen = 128;  // tokens read, then written one by one; not both 0
};

// Loads the model with `options`, but for a context of the request's size, so that never more than one engine
// is in memory; reads the whole prompt and writes a quarter of the answer (16 tokens at least), which stands
// for all of it. Random tokens; loading and the first touch of the weights are not timed. Nothing: `cancel`
// was set. Throws what Engine::load throws.
std::optional<double> time_request(const std::filesystem::path& model, EngineOptions options,
                                   const Request& request, const std::atomic<bool>* cancel = nullptr);

}  // namespace medlar::tune
