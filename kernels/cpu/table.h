// The CPU's kernels: for each operation and type the best entry that this processor runs, chosen once.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "base/cpu_features.h"
#include "kernels/table.h"

namespace medlar::kernels {

// Every entry compiled for `isa`; empty where this build has none. Scalar has an entry for every operation
// and type; a wider set has entries only where it is faster.
std::span<const KernelEntry> cpu_entries(Isa isa);

// The processor can run entries of `isa`.
bool runs_here(Isa isa, const CpuFeatures& features);

std::string_view name(Isa isa);

// Copies; refers to static tables only.
class CpuTable {
 public:
  // Entries up to `level`, as far as `features` go.
  CpuTable(CpuLevel level, const CpuFeatures& features);
  // The scalar references instead: what every other table is compared with.
  static CpuTable reference();
  // These entries before what is there.
  void prefer(std::span<const KernelEntry> entries);

  // The entry for an operation and a weight or KV type (DType::f32 for operations that have none).
  // Throws Error(unsupported) naming both.
  const KernelEntry& find(KernelOp op, DType type = DType::f32) const;
  // The leaf product of a weight type: with its own quantized activations, or with f32 ones when `exact`.
  // Throws Error(unsupported) naming the type.
  const KernelEntry& rows_dot(DType type, bool exact = false) const;

  bool has(KernelOp op, DType type = DType::f32) const;

 private:
  static constexpr std::size_t kTypes = 41;  // one more than the largest DType
  CpuTable() = default;
  const KernelEntry* best(KernelOp op, DType type, bool exact) const;

  // [op][exact][type]
  std::array<std::array<std::array<const KernelEntry*, kTypes>, 2>, kKernelOps> best_{};
};

}  // namespace medlar::kernels
