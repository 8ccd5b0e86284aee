// The one list of model families: what a published model's configuration and tensors are called in GGUF.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf_values.h"
#include "huggingface/config.h"
#include "huggingface/names.h"

namespace medlar::huggingface {

// Sets "<architecture>.<key>".
class Keys {
 public:
  Keys(gguf::Values& values, std::string_view architecture) : values_(values), prefix_(architecture) {}

  // A u32. Throws Error(bad_file) naming the key where it is none.
  void integer(std::string_view key, std::int64_t value);
  void real(std::string_view key, double value);  // an f32
  void flag(std::string_view key, bool value);
  void text(std::string_view key, std::string_view value);
  void flags(std::string_view key, const std::vector<bool>& values);

 private:
  std::string full(std::string_view key) const { return prefix_ + "." + std::string(key); }

  gguf::Values& values_;
  std::string prefix_;
};

struct Family {
  std::string_view type;  // config.json's model_type
  std::string_view architecture;
  std::span<const Renaming> names;  // beside those that families share
  bool rotary_neighbours = false;   // in GGUF a rotary pair's rows are side by side, here half a head apart
  bool norms_from_one = false;      // a norm's weight is stored less 1
  bool tied = false;                // a head of its own is never read
  void (*keys)(const Config& config, Keys& keys) = nullptr;
};

std::span<const Family> families();

// Throws Error(unsupported) naming a model_type that has no family.
const Family& find_family(const Config& config);

// A tensor that follows from the configuration.
struct Made {
  std::string name;
  std::vector<float> values;
};

// Keys that all families have.
void set_common_keys(const Config& config, const Family& family, Keys& keys);
// The rotary embedding's parameters, wherever a version of the file has them, as one object.
Config rope_parameters(const Config& config);
void set_rope_keys(const Config& config, Keys& keys);
// The divisors of rotary frequencies that some models have. Throws Error(bad_file) on impossible parameters.
std::vector<Made> rope_tensors(const Config& config, Keys& keys);
// The width of a head.
std::int64_t head_dim(const Config& config);

}  // namespace medlar::huggingface
