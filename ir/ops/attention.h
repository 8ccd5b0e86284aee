// The KV cache's two operations: write this batch's keys or values, and attend over all that was written.
#pragma once

#include <cstdint>
#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

enum class KvPart : std::uint8_t { key, value };

// The result stands for the layer's cache after the write, so that attention is ordered behind it.
struct KvWrite {  // inputs: x (tokens, kv_heads, dim)
  static constexpr std::string_view name = "kv_write";
  int layer = 0;  // into Graph::kv_layers()
  KvPart part = KvPart::key;

  ValueType infer(Inputs in) const {
    expect(in.size() == 1 && in[0].rows == RowCount::tokens && in[0].shape.rank() == 2, name,
           "(tokens, kv_heads, dim)");
    return {Storage::state, RowCount::one, DType::f32, in[0].shape};
  }
  Cost cost(Inputs in) const { return {2.0 * static_cast<double>(in[0].width()), 0}; }
};

// Values may be those of the keys' rows, of which they are then the first v_dim.
struct Attention {  // inputs: q (tokens, heads, head_dim), keys, values (states), and maybe sinks (heads) f32
  static constexpr std::string_view name = "attention";
  int layer = 0;
  float scale = 1;
  float softcap = 0;  // 0: none
  bool causal = true;
  std::int64_t v_dim = 0;  // 0: a row of values as it was written

  ValueType infer(Inputs in) const {
    expect(in.size() == 3 || in.size() == 4, name, "q, keys, values and perhaps sinks");
    expect(in[0].rows == RowCount::tokens && in[0].shape.rank() == 2, name, "(tokens, heads, head_dim)");
    expect(in[1].storage == Storage::state && in[2].storage == Storage::state, name,
           "written keys and values");
    const std::int64_t heads = in[0].shape[0], kv_heads = in[1].shape[0];
    expect(kv_heads > 0 && heads % kv_heads == 0 && in[2].shape[0] == kv_heads, name,
           "heads that KV heads divide");
    expect(in[1].shape[1] == in[0].shape[1], name, "keys as wide as queries");
    expect(v_dim >= 0 && v_dim <= in[2].shape[1], name, "values within a row of the cache");
    return ValueType::activations(RowCount::tokens, {heads, v_dim > 0 ? v_dim : in[2].shape[1]});
  }
  // Arithmetic grows with the context; this is the part that does not.
  Cost cost(Inputs in) const { return {2.0 * static_cast<double>(in[0].width()), 0}; }
};

}  // namespace medlar::ir
