// Operations with a state of fixed size for each sequence, which is in the cache beside the pages of
// attention (kernels/args.h: StatePages).
#pragma once

#include <cstdint>
#include <string_view>

#include "ir/ops/elementwise.h"
#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

// A causal convolution of each channel by itself (kernels/args.h: ShortConvArgs).
struct ShortConv {  // inputs: x (tokens, channels), weight (channels, width) f32, and maybe bias (channels)
                    // f32
  static constexpr std::string_view name = "short_conv";
  int layer = 0;  // into Graph::kv_layers()
  Activation activation = Activation::none;

  ValueType infer(Inputs in) const {
    expect((in.size() == 2 || in.size() == 3) && in[0].rows == RowCount::tokens && in[0].shape.rank() == 1,
           name, "(tokens, channels), a weight and perhaps a bias");
    expect(in[1].dtype == DType::f32 && in[1].shape.rank() == 2 && in[1].shape[0] == in[0].width() &&
               in[1].shape[1] >= 2 && in[1].shape[1] <= kernels::kMaxConvWidth,
           name, "an f32 weight of from 2 to 8 values for each channel");
    expect(in.size() == 2 || (in[2].dtype == DType::f32 && in[2].shape == in[0].shape), name,
           "an f32 bias for each channel");
    return in[0];
  }
  Cost cost(Inputs in) const { return {2.0 * static_cast<double>(in[1].shape.elements()), 0}; }
};

// A gated linear recurrence: the delta rule or a selective state space (kernels/args.h: ScanArgs).
struct Scan {  // inputs: x (tokens, width), a (tokens, heads), rate and bias (heads) f32, and either b
               // (tokens, heads) or skip (heads) f32
  static constexpr std::string_view name = "scan";
  int layer = 0;                              // into Graph::kv_layers()
  std::int64_t q_at = 0, k_at = 0, v_at = 0;  // in x
  std::int64_t key_heads = 1, key_dim = 0, value_dim = 0;
  bool interleaved = false;
  float eps = 0, scale = 1;

  ValueType infer(Inputs in) const {
    expect(in.size() == 5 && in[0].rows == RowCount::tokens && in[0].shape.rank() == 1, name,
           "(tokens, width) and four inputs for the heads");
    expect(in[1].rows == RowCount::tokens && in[1].shape.rank() == 1, name, "a value for each head");
    const std::int64_t heads = in[1].width(), width = in[0].width();
    for (const ValueType& t : in.subspan(2))
      expect(t.dtype == DType::f32 && t.shape == in[1].shape, name, "as many values as heads");
    expect(key_heads >= 1 && heads % key_heads == 0, name, "heads that key heads divide");
    expect(key_dim >= 1 && value_dim >= 1 && q_at >= 0 && k_at >= 0 && v_at >= 0 &&
               q_at + key_heads * key_dim <= width && k_at + key_heads * key_dim <= width &&
               v_at + heads * value_dim <= width,
           name, "queries, keys and values inside its input");
    return ValueType::activations(RowCount::tokens, {heads, value_dim});
  }
  // The delta rule, not a state space.
  static bool is_delta(Inputs in) { return in[4].storage == Storage::rows; }
  Cost cost(Inputs in) const {
    return {(is_delta(in) ? 7.0 : 5.0) * static_cast<double>(in[1].width() * key_dim * value_dim), 0};
  }
};

}  // namespace medlar::ir
