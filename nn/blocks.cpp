#include "nn/blocks.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace medlar::nn {
namespace {

// YaRN keeps frequencies that turn often within the trained context and interpolates slow ones, with a ramp
// between.
struct YarnRamp {
  double low, high;

  explicit YarnRamp(const RopeConfig& c) {
    // The dimension whose frequency makes `turns` full turns over the trained context.
    const auto dimension = [&](double turns) {
      const auto context = static_cast<double>(c.original_context);
      return static_cast<double>(c.dim) * std::log(context / (turns * 2 * std::numbers::pi)) /
             (2 * std::log(c.theta));
    };
    low = dimension(c.beta_fast), high = dimension(c.beta_slow);
    if (c.truncate) low = std::floor(low), high = std::ceil(high);
    low = std::max(0.0, low), high = std::min(static_cast<double>(c.dim) - 1, high);
  }
  // 1: keep the frequency; 0: interpolate it.
  double keep(double i) const { return 1 - std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0); }
};

float magnitude(const RopeConfig& c) {
  if (c.scaling != RopeScaling::yarn || c.factor <= 1) return c.attention_factor;
  const float log = 0.1F * std::log(c.factor);
  const float yarn = c.magnitude > 0 ? c.magnitude : (log + 1) / (c.log_multiplier * log + 1);
  return c.attention_factor * yarn;
}

}  // namespace

std::vector<float> rope_frequencies(const RopeConfig& c) {
  const auto half = static_cast<std::size_t>(c.dim / 2);
  if (!c.divisors.empty() && c.divisors.size() != half)
    fail(ErrorKind::bad_file, "rope_freqs.weight has {} values for {} frequencies", c.divisors.size(), half);
  const YarnRamp ramp(c);
  std::vector<float> inv_freq(half);
  for (std::size_t i = 0; i < half; ++i) {
    const double plain =
        std::pow(static_cast<double>(c.theta), -2.0 * static_cast<double>(i) / static_cast<double>(c.dim));
    double f = plain;
    if (c.scaling == RopeScaling::linear) f = plain / c.factor;
    if (c.scaling == RopeScaling::yarn) {
      const double keep = ramp.keep(static_cast<double>(i));
      f = plain / c.factor * (1 - keep) + plain * keep;
    }
    inv_freq[i] = static_cast<float>(c.divisors.empty() ? f : f / static_cast<double>(c.divisors[i]));
  }
  return inv_freq;
}

Rope rope(Graph& g, const RopeConfig& config, ir::RopeStyle style) {
  return {g.table(rope_frequencies(config)), {style, magnitude(config)}};
}

Value attend(Graph& g, const Attention::Heads& x, const Attend& how) {
  const Shape &k = g[x.k].type.shape, &v = g[x.v].type.shape;
  const int layer = g.add_kv_layer({.heads = k[0], .k_dim = k[1], .v_dim = v[1], .window = how.window});
  const Value keys = ir::kv_write(g, x.k, layer, ir::KvPart::key);
  const Value values = ir::kv_write(g, x.v, layer, ir::KvPart::value);
  const Value y = ir::attention(g, x.q, keys, values, {layer, how.scale, how.softcap, how.causal}, how.sinks);
  return ir::reshape(g, y, {g[y].type.width()});
}

Value attend_latent(Graph& g, Value q, Value keys, const Attend& how, std::int64_t v_dim) {
  const Value k = heads(g, keys, 1);
  const int layer =
      g.add_kv_layer({.heads = 1, .k_dim = g[k].type.shape[1], .v_dim = 0, .window = how.window});
  const Value written = ir::kv_write(g, k, layer, ir::KvPart::key);
  return ir::attention(g, q, written, written, {layer, how.scale, how.softcap, how.causal, v_dim}, how.sinks);
}

}  // namespace medlar::nn
