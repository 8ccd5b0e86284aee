// Short names for building graphs; nn/ and tests write with these.
#pragma once

#include "ir/graph.h"

namespace medlar::ir {

inline Value embed(Graph& g, Value table, float scale = 1, EmbedBy by = EmbedBy::token) {
  return g.add(Embed{scale, by}, {table});
}
inline Value gather_rows(Graph& g, Value x) { return g.add(GatherRows{}, {x}); }
inline Value rms_norm(Graph& g, Value x, Value weight, float eps) { return g.add(RmsNorm{eps}, {x, weight}); }
inline Value layer_norm(Graph& g, Value x, Value weight, Value bias, float eps) {
  return bias ? g.add(LayerNorm{eps}, {x, weight, bias}) : g.add(LayerNorm{eps}, {x, weight});
}
inline Value linear(Graph& g, Value x, Value weight, Value bias = {}) {
  return bias ? g.add(Linear{}, {x, weight, bias}) : g.add(Linear{}, {x, weight});
}
inline Value add(Graph& g, Value a, Value b) { return g.add(Binary{BinaryOp::add}, {a, b}); }
inline Value mul(Graph& g, Value a, Value b) { return g.add(Binary{BinaryOp::mul}, {a, b}); }
inline Value scale(Graph& g, Value x, float by) {
  return by == 1 ? x : g.add(Unary{UnaryOp::scale, by}, {x});
}
inline Value softcap(Graph& g, Value x, float cap) {
  return cap == 0 ? x : g.add(Unary{UnaryOp::softcap, cap}, {x});
}
inline Value gelu_erf(Graph& g, Value x) { return g.add(Unary{UnaryOp::gelu_erf}, {x}); }
inline Value sigmoid(Graph& g, Value x) { return g.add(Unary{UnaryOp::sigmoid}, {x}); }
inline Value relu_squared(Graph& g, Value x) { return g.add(Unary{UnaryOp::relu_squared}, {x}); }
inline Value temperature(Graph& g, Value x, Temperature how) { return g.add(how, {x}); }
inline Value glu(Graph& g, Activation activation, Value gate, Value up) {
  return g.add(Glu{activation}, {gate, up});
}
inline Value route(Graph& g, Value logits, Route how, Value bias = {}) {
  return bias ? g.add(how, {logits, bias}) : g.add(how, {logits});
}
struct ExpertMatrices {
  Value gate, up, down;
};
inline Value experts(Graph& g, Value x, Value weights, ExpertMatrices m, Experts how,
                     ExpertMatrices biases = {}) {
  if (!biases.gate) return g.add(how, {x, weights, m.gate, m.up, m.down});
  return g.add(how, {x, weights, m.gate, m.up, m.down, biases.gate, biases.up, biases.down});
}
inline Value head_linear(Graph& g, Value x, Value weight) { return g.add(HeadLinear{}, {x, weight}); }
inline Value concat(Graph& g, Value a, Value b) { return g.add(Concat{}, {a, b}); }
inline Value reshape(Graph& g, Value x, Shape shape) {
  return g[x].type.shape == shape ? x : g.add(Reshape{shape}, {x});
}
inline Value slice(Graph& g, Value x, std::int64_t begin, std::int64_t width) {
  return g.add(SliceOf{begin, width}, {x});
}
inline Value rope(Graph& g, Value x, Value inv_freq, Rope how) { return g.add(how, {x, inv_freq}); }
inline Value kv_write(Graph& g, Value x, int layer, KvPart part) { return g.add(KvWrite{layer, part}, {x}); }
inline Value attention(Graph& g, Value q, Value keys, Value values, Attention how, Value sinks = {}) {
  return sinks ? g.add(how, {q, keys, values, sinks}) : g.add(how, {q, keys, values});
}

inline Value short_conv(Graph& g, Value x, Value weight, Value bias, ShortConv how) {
  return bias ? g.add(how, {x, weight, bias}) : g.add(how, {x, weight});
}
struct ScanInputs {
  Value x, a, rate, bias;
  Value b_or_skip;
};
inline Value scan(Graph& g, const ScanInputs& in, Scan how) {
  return g.add(how, {in.x, in.a, in.rate, in.bias, in.b_or_skip});
}

}  // namespace medlar::ir
