// Operations with a state: short convolution (Gu & Dao 2023) and gated linear recurrences (Dao & Gu 2024;
// Yang et al. 2025), token by token.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/ref/ref_ops.h"

namespace medlar::kernels::ref {
namespace {

float* state_after(const StatePages& s, const Step& step, std::int64_t sequence, std::int64_t position) {
  const PageTable& table = step.pages[s.group];
  const std::int32_t page = table.pages[sequence * table.stride + position / kPageTokens];
  return page < 0 ? nullptr : reinterpret_cast<float*>(s.base + page * s.page_bytes);
}

// Calls fn(token, state), the state's `values` floats being those after the token before, and keeps what fn
// makes of them where a page or the sequence's part of the step ends.
template <class Fn>
void each_token(const StatePages& s, std::int64_t values, const Step& step, Fn fn) {
  std::vector<float> state(static_cast<std::size_t>(values));
  for (std::int64_t t = 0; t < step.tokens; ++t) {
    const std::int64_t sequence = step.sequences[t], position = step.positions[t];
    if (t == 0 || step.sequences[t - 1] != sequence) {
      if (position == 0)
        std::ranges::fill(state, 0.0f);
      else
        std::copy_n(state_after(s, step, sequence, position - 1), values, state.begin());
    }
    fn(t, state.data());
    const bool last = t + 1 == step.tokens || step.sequences[t + 1] != sequence;
    float* to = state_after(s, step, sequence, position);
    if (to && (last || (position + 1) % kPageTokens == 0)) std::ranges::copy(state, to);
  }
}

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

// 1 / |x|, or 1 where vectors keep their length.
double inverse_length(const float* x, std::int64_t n, const ScanArgs& a) {
  if (!a.b) return 1;
  double squares = a.eps;
  for (std::int64_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  return 1 / std::sqrt(squares);
}

// One token and head. S is (key_dim, value_dim).
void scan_head(const ScanArgs& a, std::int64_t t, std::int64_t h, float* S) {
  const std::int64_t at = t * a.heads + h;
  const std::int64_t kh = a.interleaved ? h % a.key_heads : h / (a.heads / a.key_heads);
  const float* q = a.x + t * a.width + a.q_at + kh * a.key_dim;
  const float* k = a.x + t * a.width + a.k_at + kh * a.key_dim;
  const float* v = a.x + t * a.width + a.v_at + h * a.value_dim;
  const double d = softplus(static_cast<double>(a.a[at]) + a.bias[h]), fade = std::exp(a.rate[h] * d);
  const double q_by = inverse_length(q, a.key_dim, a) * a.scale, k_by = inverse_length(k, a.key_dim, a);
  for (std::int64_t j = 0; j < a.value_dim; ++j) {
    double known = 0, y = 0;
    for (std::int64_t i = 0; i < a.key_dim; ++i) known += fade * S[i * a.value_dim + j] * k[i] * k_by;
    const double u = a.b ? (v[j] - known) / (1 + std::exp(-static_cast<double>(a.b[at]))) : d * v[j];
    for (std::int64_t i = 0; i < a.key_dim; ++i) {
      const double s = fade * S[i * a.value_dim + j] + k[i] * k_by * u;
      S[i * a.value_dim + j] = static_cast<float>(s);
      y += s * q[i] * q_by;
    }
    a.y[at * a.value_dim + j] = static_cast<float>(y + (a.skip ? a.skip[h] * static_cast<double>(v[j]) : 0));
  }
}

}  // namespace

void short_conv(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const ShortConvArgs*>(args);
  if (slice.index != 0) return;
  const std::int64_t before = a.width - 1;
  each_token(a.state, before * a.channels, step, [&](std::int64_t t, float* tail) {
    const float* x = a.x + t * a.channels;
    for (std::int64_t c = 0; c < a.channels; ++c) {
      double sum = a.bias ? a.bias[c] : 0.0;
      for (std::int64_t j = 0; j < before; ++j)
        sum += static_cast<double>(a.weight[c * a.width + j]) * tail[j * a.channels + c];
      sum += static_cast<double>(a.weight[c * a.width + before]) * x[c];
      a.y[t * a.channels + c] = static_cast<float>(gated(a.activation, sum, 1));
    }
    std::copy_n(tail + a.channels, (before - 1) * a.channels, tail);
    std::copy_n(x, a.channels, tail + (before - 1) * a.channels);
  });
}

void scan(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const ScanArgs*>(args);
  if (slice.index != 0) return;
  const std::int64_t values = a.key_dim * a.value_dim;
  each_token(a.state, a.heads * values, step, [&](std::int64_t t, float* state) {
    for (std::int64_t h = 0; h < a.heads; ++h) scan_head(a, t, h, state + h * values);
  });
}

void slice(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const SliceArgs*>(args);
  if (slice.index != 0) return;
  for (std::int64_t i = 0; i < resolve(a.rows, step) * a.per_row; ++i)
    std::copy_n(a.x + i * a.dim + a.begin, a.width, a.y + i * a.width);
}

}  // namespace medlar::kernels::ref
