// Which type each tensor gets, where a coarser one costs quality and a finer one bytes: the least loss for so
// many bytes, or the fewest bytes for so much loss.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "formats/dtype.h"

namespace medlar::quant {

struct TypeOption {
  DType type = DType::f32;
  std::uint64_t bytes = 0;
  double loss = 0;  // losses of tensors add up
};

// Of each tensor the index of its option. Every tensor starts with its smallest option; then the steps on the
// lower convex hulls of the tensors' options are taken in order of the loss that a byte saves, which is the
// optimum of Lagrange's relaxation (Everett 1963; Shoham and Gersho 1988). The last bytes go to steps that
// still fit. Throws Error(limit) where even the smallest options are too many bytes.
std::vector<std::size_t> allocate_bytes(std::span<const std::vector<TypeOption>> tensors,
                                        std::uint64_t bytes);

// Takes the same steps until the losses are at most `loss`, or there is no step left.
std::vector<std::size_t> allocate_loss(std::span<const std::vector<TypeOption>> tensors, double loss);

std::uint64_t bytes_of(std::span<const std::vector<TypeOption>> tensors, std::span<const std::size_t> chosen);
double loss_of(std::span<const std::vector<TypeOption>> tensors, std::span<const std::size_t> chosen);

}  // namespace medlar::quant
