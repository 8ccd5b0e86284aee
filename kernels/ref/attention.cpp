// Attention over the paged cache, and what writes the cache.
#include <algorithm>
#include <cmath>
#include <vector>

#include "formats/all.h"
#include "kernels/ref/ref_ops.h"

namespace medlar::kernels::ref {

namespace {

std::vector<float> read_row(const KvPages& pages, const std::byte* row) {
  std::vector<float> values(static_cast<std::size_t>(pages.dim));
  formats::decode_row(pages.type, row, values.data(), pages.dim);
  return values;
}

// y (v.dim) for query head h of token t.
void attend(const AttentionArgs& a, const Step& step, std::int64_t t, std::int64_t h) {
  const PageTable& table = step.pages[a.group];
  const std::int64_t sequence = step.sequences[t];
  const std::int64_t kv_head = h / (a.heads / a.k.heads);
  const std::int64_t position = step.positions[t];
  const std::int64_t first = a.window > 0 ? std::max<std::int64_t>(0, position - a.window + 1) : 0;
  std::int64_t last = position;
  if (!a.causal) {
    for (std::int64_t i = 0; i < step.tokens; ++i)
      if (step.sequences[i] == sequence) last = std::max<std::int64_t>(last, step.positions[i]);
    if (a.window > 0) last = std::min(last, position + a.window - 1);
  }
  const float* q = a.q + (t * a.heads + h) * a.k.dim;

  std::vector<double> logits;
  double top = a.sinks ? a.sinks[h] : -INFINITY;
  for (std::int64_t p = first; p <= last; ++p) {
    const std::vector<float> k = read_row(a.k, kv_row(a.k, table, sequence, p, kv_head));
    double dot = 0;
    for (std::size_t i = 0; i < k.size(); ++i) dot += static_cast<double>(q[i]) * k[i];
    double logit = dot * a.scale;
    if (a.softcap > 0) logit = a.softcap * std::tanh(logit / a.softcap);
    logits.push_back(logit);
    top = std::max(top, logit);
  }

  double total = a.sinks ? std::exp(a.sinks[h] - top) : 0;
  for (double& logit : logits) total += logit = std::exp(logit - top);

  std::vector<double> sum(static_cast<std::size_t>(a.v.dim));
  for (std::int64_t p = first; p <= last; ++p) {
    const std::vector<float> v = read_row(a.v, kv_row(a.v, table, sequence, p, kv_head));
    const double weight = logits[static_cast<std::size_t>(p - first)] / total;
    for (std::size_t i = 0; i < v.size(); ++i) sum[i] += weight * v[i];
  }
  float* y = a.y + (t * a.heads + h) * a.v.dim;
  for (std::size_t i = 0; i < sum.size(); ++i) y[i] = static_cast<float>(sum[i]);
}

}  // namespace

std::byte* kv_row(const KvPages& pages, const PageTable& table, std::int64_t sequence, std::int64_t position,
                  std::int64_t head) {
  const std::int64_t page = table.pages[sequence * table.stride + position / kPageTokens];
  const std::int64_t row = head * kPageTokens + position % kPageTokens;
  return pages.base + page * pages.page_bytes + row * pages.row_bytes;
}

void kv_write(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const KvWriteArgs*>(args);
  if (slice.index != 0) return;
  for (std::int64_t t = 0; t < step.tokens; ++t) {
    for (std::int64_t h = 0; h < a.to.heads; ++h) {
      std::byte* row = kv_row(a.to, step.pages[a.group], step.sequences[t], step.positions[t], h);
      formats::encode_row(a.to.type, a.x + (t * a.to.heads + h) * a.to.dim, row, a.to.dim);
    }
  }
}

void attend_prepare(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const AttendPrepareArgs*>(args);
  if (slice.index != 0) return;
  const RopeArgs turn{.head_dim = a.head_dim,
                      .rope_dim = a.rope_dim,
                      .style = a.style,
                      .inv_freq = a.inv_freq,
                      .magnitude = a.magnitude};
  const auto ready = [&](const float* x, const float* norm, std::int64_t position) {
    std::vector<float> head(x, x + a.head_dim);
    if (norm) normalize(x, norm, a.head_dim, a.eps, head.data());
    if (a.rope_dim > 0) rotate(turn, position, head.data(), head.data());
    return head;
  };
  const std::int64_t kv_heads = a.k_to.heads;
  const PageTable& table = step.pages[a.group];
  for (std::int64_t t = 0; t < step.tokens; ++t) {
    const std::int64_t position = step.positions[t];
    for (std::int64_t h = 0; h < a.heads; ++h) {
      float* q = a.q + (t * a.heads + h) * a.head_dim;
      std::ranges::copy(ready(q, a.q_norm, position), q);
    }
    for (std::int64_t h = 0; h < kv_heads; ++h) {
      const std::vector<float> k = ready(a.k + (t * kv_heads + h) * a.head_dim, a.k_norm, position);
      formats::encode_row(a.k_to.type, k.data(), kv_row(a.k_to, table, step.sequences[t], position, h),
                          a.k_to.dim);
      formats::encode_row(a.v_to.type, a.v + (t * kv_heads + h) * a.v_to.dim,
                          kv_row(a.v_to, table, step.sequences[t], position, h), a.v_to.dim);
    }
  }
}

void attention(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const AttentionArgs*>(args);
  if (slice.index != 0) return;
  for (std::int64_t t = 0; t < step.tokens; ++t) {
    for (std::int64_t h = 0; h < a.heads; ++h) attend(a, step, t, h);
  }
}

// Nothing: attention leaves nothing undone.
void attention_merge(const void*, const Step&, const Slice&) {}

}  // namespace medlar::kernels::ref
