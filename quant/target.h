// Types of all tensors for a size or a divergence: from measured sensitivities, the cheapest way there.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quant/allocate.h"
#include "quant/divergence.h"
#include "quant/imatrix.h"
#include "quant/mix.h"

namespace medlar::quant {

// One of these.
struct Target {
  std::optional<double> bits;          // of a weight, on average
  std::optional<std::uint64_t> bytes;  // of the file
  std::optional<double> kl;            // mean, in nats; at most
};

struct TargetOptions {
  const Imatrix* imatrix = nullptr;
  std::span<const TypeRule> rules;  // tensors that have no choice
  DivergenceOptions measure;
};

struct TargetResult {
  std::vector<TypeChoice> types;  // of each tensor
  double predicted_kl = 0, measured_kl = 0;
};

// A product's results err by the sum over its columns of the mean square that the column meets, times the
// squared error of the weights. What that does to the model is measured for each kind of tensor in each third
// of the layers: the divergence where only these are coarse, over their error. Divergences of tensors add up,
// nearly; for Target::kl the whole is measured, too, and the choice corrected. `scratch` is a folder that
// does not exist yet, on a disk with room for twice the model. Throws Error: limit where a target cannot be
// met; what Divergence throws.
TargetResult choose_for(const gguf::File& model, const Target& target, const eval::Windows& windows,
                        const std::filesystem::path& scratch, const TargetOptions& options);

// general.file_type of a mix without a name: that of the type most bytes have.
std::uint32_t file_type_of(const gguf::File& model, std::span<const TypeChoice> types);

}  // namespace medlar::quant
