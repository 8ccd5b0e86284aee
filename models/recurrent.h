// Hyperparameters and tensors of recurrent blocks.
#pragma once

#include "models/config.h"
#include "models/weights.h"
#include "nn/recurrent.h"

namespace medlar::models {

// Of scans: `heads` states of (key_dim, inner / heads), whose keys and queries come in groups.
struct StateConfig {
  std::int64_t conv_width = 0, key_dim = 0, groups = 0, heads = 0, inner = 0;

  template <class Visitor>
  void visit(Visitor& key) {
    key("ssm.conv_kernel", conv_width, Range{2, kernels::kMaxConvWidth});
    key("ssm.state_size", key_dim, Range{1, 1 << 14});
    key("ssm.group_count", groups, Range{1, 1 << 14});
    key("ssm.time_step_rank", heads, Range{1, 1 << 14});
    key("ssm.inner_size", inner, Range{heads, 1 << 22});
    if (heads % groups != 0 || inner % heads != 0)
      fail(ErrorKind::bad_file,
           "ssm.group_count ({}) does not divide ssm.time_step_rank ({}), or that not ssm.inner_size ({})",
           groups, heads, inner);
  }
  std::int64_t value_dim() const { return inner / heads; }
};

template <class Visitor>
void visit(Visitor& tensor, nn::DeltaNet& d, std::int64_t dim, const StateConfig& c) {
  const std::int64_t channels = 2 * c.groups * c.key_dim + c.inner;
  d.heads = c.heads, d.key_heads = c.groups, d.key_dim = c.key_dim, d.value_dim = c.value_dim();
  tensor("attn_qkv", d.qkv, channels, dim);
  tensor("attn_gate", d.gate, c.inner, dim);
  if (tensor.has("ssm_ba")) {
    tensor("ssm_ba", d.beta_alpha, 2 * c.heads, dim);
  } else {
    tensor("ssm_alpha", d.alpha, c.heads, dim);
    tensor("ssm_beta", d.beta, c.heads, dim);
  }
  tensor.f32("ssm_conv1d.weight", d.conv.weight, {channels, c.conv_width});
  tensor.f32("ssm_a", d.rate, {c.heads});
  tensor.f32("ssm_dt.bias", d.bias, {c.heads});
  tensor("ssm_norm", d.norm, c.value_dim());
  tensor("ssm_out", d.o, dim, c.inner);
}

template <class Visitor>
void visit(Visitor& tensor, nn::Mamba2& m, std::int64_t dim, const StateConfig& c) {
  const std::int64_t channels = c.inner + 2 * c.groups * c.key_dim;
  m.heads = c.heads, m.groups = c.groups, m.key_dim = c.key_dim, m.value_dim = c.value_dim();
  m.eps = tensor.eps();
  tensor("ssm_in", {{m.gate, c.inner}, {m.x_b_c, channels}, {m.dt, c.heads}}, dim);
  tensor.f32("ssm_conv1d.weight", m.conv.weight, {channels, c.conv_width});
  if (tensor.has_bias("ssm_conv1d")) tensor.f32("ssm_conv1d.bias", m.conv.bias, {channels});
  tensor.f32("ssm_a", m.rate, {c.heads});
  tensor.f32("ssm_d", m.skip, {c.heads});
  tensor.f32("ssm_dt.bias", m.bias, {c.heads});
  tensor.f32("ssm_norm.weight", m.norm, {c.groups, c.inner / c.groups}, {c.inner});
  tensor("ssm_out", m.o, dim, c.inner);
}

}  // namespace medlar::models
