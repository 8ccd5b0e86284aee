// Benchmarks of a model on this machine, in the vocabulary of llama-bench: pp reads a prompt, tg writes
// tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "tune/profile.h"
#include "tune/statistics.h"

namespace medlar::tune {

// Reads `prompt` tokens in batches, then `gen` more one by one, after `depth` that are not timed. Tokens are
// random and nothing is sampled.
struct BenchTest {
  std::int64_t prompt = 0, gen = 0, depth = 0;

  std::int64_t tokens() const { return prompt + gen; }
  // "pp512", "tg128", "pp512+tg128"; "@ d4096" follows where there is depth.
  std::string name() const;
};

// Every combination is measured.
struct BenchOptions {
  std::vector<std::int64_t> prompts{512}, gens{128}, depths{0};  // zeros in prompts and gens are left out
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs;      // prompt, then gen, as one test
  std::vector<int> batches{0}, threads{0};
  std::vector<std::optional<DType>> k_types{std::nullopt}, v_types{std::nullopt};
  int repetitions = 5;
  bool profile = false;  // of every test, without the depth
  bool limits = true;    // measure what the machine allows, too
  Device device = Device::automatic;
  std::optional<int> gpu_layers;  // as in EngineOptions
  int gpus = 0;
  bool exact = false;
  std::filesystem::path kernel_cache;  // EngineOptions::kernel_cache
};

// In the order they are run. Throws Error(usage) when there is nothing to measure.
std::vector<BenchTest> bench_tests(const BenchOptions& options);

// The speed that the machine itself allows, measured in the same run.
struct BenchLimit {
  std::string what;  // "read bandwidth" in bytes a second; "int8 products", "bf16 products", "f32 products"
                     // or a device's "matrix products" in operations
  double rate = 0;   // a second
  double per_token = 0;  // bytes or operations that a token takes
  double tokens_per_second() const { return rate / per_token; }
};

// What is measured, and where.
struct BenchSetting {
  std::string model_path, model_type, cpu, backend;
  std::int64_t model_bytes = 0, parameters = 0;
  BenchTest test;
  int threads = 0, batch = 0;
  DType k_type = DType::f32, v_type = DType::f32;
};
// Without the model's path.
BenchSetting setting_of(const Engine& engine, const BenchTest& test);

struct BenchResult {
  BenchSetting setting;
  std::vector<double> seconds;                        // of each repetition
  std::optional<BenchLimit> limit;                    // none for mixed tests, or unknown
  std::optional<Profile> profile;                     // where asked for; traces the last repetition
  std::uint64_t anonymous_bytes = 0, file_bytes = 0;  // resident after the test

  std::vector<double> tokens_per_second() const;
  // Median tokens per second over the limit's; 0 without a limit.
  double limit_share() const;
};

// Runs every test on every setting; hands over each result when it is complete. Throws what Engine::load and
// Session::feed throw.
void bench(const std::filesystem::path& model, const BenchOptions& options,
           const std::function<void(const BenchResult&)>& on_result);

}  // namespace medlar::tune
