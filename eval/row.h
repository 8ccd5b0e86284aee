// What one row of logits says about the token that follows, alone and beside a base's row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace medlar::eval {

// ln p(i) = logits[i] - top - log_sum.
struct LogSoftmax {
  float top = 0, least = 0;  // logits
  std::int64_t best = 0;     // the first that is `top`
  double log_sum = 0;        // ln of the sum of exp(logit - top); NaN where a logit is

  double operator()(float logit) const {
    return static_cast<double>(logit) - static_cast<double>(top) - log_sum;
  }
};
LogSoftmax log_softmax(std::span<const float> logits);

// A row of log-probabilities in 16 bits each: value * scale + least (docs/quality.md).
struct StoredRow {
  float scale = 0, least = 0;
  std::span<const std::byte> values;  // (vocab), u16

  float operator()(std::int64_t token) const {
    std::uint16_t value;
    std::memcpy(&value, values.data() + static_cast<std::size_t>(token) * sizeof(value), sizeof(value));
    return scale * static_cast<float>(value) + least;
  }
  std::int64_t vocab() const { return std::ssize(values) / 2; }
};
// Bytes that scale, least and values take in a file: a multiple of 4.
constexpr std::int64_t stored_row_bytes(std::int64_t vocab) { return 8 + 4 * ((vocab + 1) / 2); }
StoredRow stored_row(std::span<const std::byte> bytes, std::int64_t vocab);
// Logits more than kStoredRange below the best are stored as if they were that far. `bytes`:
// stored_row_bytes.
void store_row(std::span<const float> logits, const LogSoftmax& norm, std::span<std::byte> bytes);
inline constexpr float kStoredRange = 16;

// Of one token; in nats. What has no base stays 0.
struct TokenScore {
  double nll = 0;       // -ln p(token)
  double base_nll = 0;  // by the base
  double kl = 0;        // of the whole row: sum of p_base (ln p_base - ln p)
  double p_change = 0;  // p(token) - p_base(token)
  bool same_best = false;
};
TokenScore score(std::span<const float> logits, const LogSoftmax& norm, std::int64_t token);
// Stored probabilities up to exp(-16) are left out of the divergence, as llama.cpp does: they are rounded.
TokenScore score(std::span<const float> logits, const LogSoftmax& norm, std::int64_t token,
                 const StoredRow& base);
TokenScore score(std::span<const float> logits, const LogSoftmax& norm, std::int64_t token,
                 std::span<const float> base_logits);

}  // namespace medlar::eval
