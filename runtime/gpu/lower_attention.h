// Lowering of attention: which kernel, over which rows, with the keys divided into how many parts.
#pragma once

#include <optional>

#include "runtime/gpu/step_builder.h"

namespace medlar::runtime::gpu {

// Rows of bytes that the result is also stored as, times `gamma`, for the product that reads them.
struct StoredBytes {
  std::optional<Region> bytes, gamma;
};

struct AttentionPlace {
  const KvPart &k, &v;
  Region k_region, v_region;
  int group = 0;
  StoredBytes stored;
};

void emit_attention(StepBuilder& b, ir::Value attention, const AttentionPlace& at,
                    const LowerOptions& tuning);

}  // namespace medlar::runtime::gpu
