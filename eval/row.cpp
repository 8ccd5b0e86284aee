#include "eval/row.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace medlar::eval {
namespace {

constexpr float kStoredSteps = 65535;
constexpr double kFaintest = -87;  // exp() of less is no normal float

// `base` gives ln p_base of a token. Those of at most `faintest` add nothing to the divergence.
template <class LogP>
TokenScore compare(std::span<const float> logits, const LogSoftmax& norm, std::int64_t token,
                   const LogP& base, double faintest) {
  TokenScore s = score(logits, norm, token);
  double divergence = 0, highest = -std::numeric_limits<double>::infinity();
  std::int64_t best = 0;
  for (std::int64_t i = 0; i < std::ssize(logits); ++i) {
    const double p_log = base(i);
    if (p_log > highest) highest = p_log, best = i;
    // Not a number goes on into the sum.
    if (p_log <= faintest) continue;
    const auto p = static_cast<double>(std::exp(static_cast<float>(p_log)));
    divergence += p * (p_log - norm(logits[static_cast<std::size_t>(i)]));
  }
  s.base_nll = -base(token);
  s.kl = divergence;
  s.p_change = std::exp(-s.nll) - std::exp(-s.base_nll);
  s.same_best = best == norm.best;
  return s;
}

}  // namespace

LogSoftmax log_softmax(std::span<const float> logits) {
  LogSoftmax n{.top = logits[0], .least = logits[0]};
  for (std::size_t i = 1; i < logits.size(); ++i) {
    n.least = std::min(n.least, logits[i]);
    if (logits[i] > n.top) n.top = logits[i], n.best = static_cast<std::int64_t>(i);
  }
  double sum = 0;
  for (const float logit : logits) sum += static_cast<double>(std::exp(logit - n.top));
  n.log_sum = std::log(sum);
  return n;
}

StoredRow stored_row(std::span<const std::byte> bytes, std::int64_t vocab) {
  StoredRow row;
  std::memcpy(&row.scale, bytes.data(), sizeof(float));
  std::memcpy(&row.least, bytes.data() + sizeof(float), sizeof(float));
  row.values = bytes.subspan(2 * sizeof(float), static_cast<std::size_t>(vocab) * sizeof(std::uint16_t));
  return row;
}

void store_row(std::span<const float> logits, const LogSoftmax& norm, std::span<std::byte> bytes) {
  const float floor = std::max(norm.least, norm.top - kStoredRange);
  const float scale = (norm.top - floor) / kStoredSteps;
  const float least = floor - norm.top - static_cast<float>(norm.log_sum);
  std::memcpy(bytes.data(), &scale, sizeof(scale));
  std::memcpy(bytes.data() + sizeof(scale), &least, sizeof(least));
  std::byte* to = bytes.data() + 2 * sizeof(float);
  const float steps = scale > 0 ? 1 / scale : 0;
  for (const float logit : logits) {
    const float above = logit > floor ? std::min(steps * (logit - floor), kStoredSteps) : 0;
    const auto value = static_cast<std::uint16_t>(std::lrint(above));
    std::memcpy(to, &value, sizeof(value));
    to += sizeof(value);
  }
  std::fill(to, bytes.data() + bytes.size(), std::byte{0});
}

TokenScore score(std::span<const float> logits, const LogSoftmax& norm, std::int64_t token) {
  return {.nll = -norm(logits[static_cast<std::size_t>(token)])};
}

TokenScore score(std::span<const float> logits, const LogSoftmax& norm, std::int64_t token,
                 const StoredRow& base) {
  const auto log_p = [&](std::int64_t i) { return static_cast<double>(base(i)); };
  return compare(logits, norm, token, log_p, -static_cast<double>(kStoredRange));
}

TokenScore score(std::span<const float> logits, const LogSoftmax& norm, std::int64_t token,
                 std::span<const float> base_logits) {
  const LogSoftmax base = log_softmax(base_logits);
  const auto log_p = [&](std::int64_t i) { return base(base_logits[static_cast<std::size_t>(i)]); };
  return compare(logits, norm, token, log_p, kFaintest);
}

}  // namespace medlar::eval
