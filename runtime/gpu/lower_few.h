// Lowering of products of few rows (kernels/gpu/linear_one.h, linear_few.h): matrices that read the same rows
// become one dispatch, and what is read as bytes is stored as bytes by what makes it.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "ir/fuse.h"
#include "runtime/gpu/lower_attention.h"
#include "runtime/gpu/step_builder.h"

namespace medlar::runtime::gpu {

// What a product of weights in blocks reads, by the storage of its value, and the norm that it applies first,
// or none.
using BlockInputs = std::map<int, ir::Value>;
BlockInputs block_inputs(const ir::Graph& graph, const std::vector<ir::Group>& groups,
                         const std::vector<int>& storage);

// Threadgroups of linear_one: one for each core, as long as there are tiles for them; more where their sums
// would not fit.
std::uint32_t one_groups(const medlar::gpu::FewParams& p, DType type, int cores);

// The products of one step, in order.
class FewProducts {
 public:
  // All must outlive it.
  FewProducts(StepBuilder& builder, const LowerOptions& options, const BlockInputs& block_inputs);

  // Whether the group's products are of few rows, and may read them as bytes.
  bool take(const ir::LinearGroup& group) const;
  void emit(const ir::LinearGroup& group);
  // Where what attention makes is to be stored as bytes as well, because a product reads it so; nowhere if
  // none does, or heads are not whole groups of bytes.
  StoredBytes stored_bytes(ir::Value attention);

 private:
  using Outs = std::vector<ir::LinearGroup::Out>;
  struct Operands;

  void emit(const ir::LinearGroup& group, const Outs& outs, bool gated);
  Operands operands(const ir::LinearGroup& group, const Outs& outs, bool gated);
  void store_bytes(ir::Value result, Operands& o);
  Region input(const ir::LinearGroup& group);
  Region bytes_of_rows(ir::Value v);

  StepBuilder& b_;
  const LowerOptions& options_;
  const BlockInputs& block_inputs_;
  std::map<std::pair<int, std::int32_t>, Region> bytes_;  // rows of bytes, by storage and norm
};

}  // namespace medlar::runtime::gpu
