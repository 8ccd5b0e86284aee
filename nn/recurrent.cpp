#include "nn/recurrent.h"

#include <cmath>

namespace medlar::nn {
namespace {

constexpr float kLengthEps = 1e-6F;  // of queries and keys, as in their authors' kernels

int add_layer(Graph& g, std::int64_t conv_state, std::int64_t scan_state) {
  return g.add_kv_layer({.window = kernels::kRecurrent, .conv_state = conv_state, .scan_state = scan_state});
}

}  // namespace

Value GatedConv::operator()(Graph& g, Value h) const {
  const Value left = b(g, h), right = c(g, h), input = x(g, h);
  const int layer = add_layer(g, conv.state(g), 0);
  return o(g, ir::mul(g, right, conv(g, ir::mul(g, left, input), {.layer = layer})));
}

Value DeltaNet::operator()(Graph& g, Value h) const {
  const int layer = add_layer(g, conv.state(g), heads * key_dim * value_dim);
  const Value x = conv(g, qkv(g, h), {.layer = layer, .activation = ir::Activation::silu});
  const Value z = nn::heads(g, gate(g, h), heads);
  Value a, b;
  if (beta_alpha.weight) {
    const std::int64_t each = heads / key_heads;
    const Value both = nn::heads(g, beta_alpha(g, h), key_heads);
    b = ir::reshape(g, ir::slice(g, both, 0, each), {heads});
    a = ir::reshape(g, ir::slice(g, both, each, each), {heads});
  } else {
    a = alpha(g, h), b = beta(g, h);
  }
  const std::int64_t keys = key_heads * key_dim;
  const Value y = ir::scan(g, {x, a, rate, bias, b},
                           {.layer = layer,
                            .q_at = 0,
                            .k_at = keys,
                            .v_at = 2 * keys,
                            .key_heads = key_heads,
                            .key_dim = key_dim,
                            .value_dim = value_dim,
                            .interleaved = interleaved,
                            .eps = kLengthEps,
                            .scale = 1 / std::sqrt(static_cast<float>(key_dim))});
  const Value gated = ir::glu(g, ir::Activation::silu, z, norm(g, y));
  return o(g, ir::reshape(g, gated, {heads * value_dim}));
}

Value Mamba2::operator()(Graph& g, Value h) const {
  const std::int64_t inner = heads * value_dim;
  const int layer = add_layer(g, conv.state(g), heads * key_dim * value_dim);
  const Value z = gate(g, h), input = x_b_c(g, h), step = dt(g, h);
  const Value x = conv(g, input, {.layer = layer, .activation = ir::Activation::silu});
  const Value y = ir::scan(g, {x, step, rate, bias, skip},
                           {.layer = layer,
                            .q_at = inner + groups * key_dim,
                            .k_at = inner,
                            .v_at = 0,
                            .key_heads = groups,
                            .key_dim = key_dim,
                            .value_dim = value_dim});
  const Value gated = ir::glu(g, ir::Activation::silu, z, ir::reshape(g, y, {inner}));
  const std::int64_t size = inner / groups;
  const Value plain = g.table(std::vector<float>(static_cast<std::size_t>(size), 1.0F));
  const Value normed = ir::rms_norm(g, ir::reshape(g, gated, {groups, size}), plain, eps);
  return o(g, ir::mul(g, ir::reshape(g, normed, {inner}), norm));
}

}  // namespace medlar::nn
