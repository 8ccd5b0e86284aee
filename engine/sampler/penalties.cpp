#include "engine/sampler/penalties.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace medlar::penalties {
namespace {

std::span<const std::int32_t> last_n(std::span<const std::int32_t> history, int n) {
  if (n < 0 || static_cast<std::size_t>(n) >= history.size()) return history;
  return history.last(static_cast<std::size_t>(n));
}

// z[i]: length of the longest common prefix of s and its suffix from i (Gusfield's Z algorithm), in linear
// time.
std::vector<int> z_function(std::span<const std::int32_t> s) {
  std::vector<int> z(s.size(), 0);
  for (std::size_t i = 1, l = 0, r = 0; i < s.size(); ++i) {
    if (i < r) z[i] = std::min(static_cast<int>(r - i), z[i - l]);
    while (i + static_cast<std::size_t>(z[i]) < s.size() &&
           s[static_cast<std::size_t>(z[i])] == s[i + static_cast<std::size_t>(z[i])])
      ++z[i];
    if (i + static_cast<std::size_t>(z[i]) > r) l = i, r = i + static_cast<std::size_t>(z[i]);
  }
  return z;
}

}  // namespace

void repetition(std::span<float> logits, std::span<const std::int32_t> history, const SamplerOptions& o) {
  if (o.penalty_last_n == 0 || (o.repeat_penalty == 1 && o.presence_penalty == 0 && o.frequency_penalty == 0))
    return;
  std::unordered_map<std::int32_t, int> counts;
  for (std::int32_t token : last_n(history, o.penalty_last_n)) ++counts[token];
  for (const auto& [token, count] : counts) {
    float& logit = logits[static_cast<std::size_t>(token)];
    logit = logit > 0 ? logit / o.repeat_penalty : logit * o.repeat_penalty;
    logit -= static_cast<float>(count) * o.frequency_penalty + o.presence_penalty;
  }
}

void dry(std::span<float> logits, std::span<const std::int32_t> history, const SamplerOptions& o,
         std::span<const std::int32_t> breakers) {
  if (o.dry_multiplier <= 0 || o.dry_penalty_last_n == 0) return;
  std::vector<std::int32_t> reversed;  // newest first, up to the last breaker
  for (std::span<const std::int32_t> h = last_n(history, o.dry_penalty_last_n); !h.empty();
       h = h.first(h.size() - 1))
    reversed.push_back(h.back());
  const auto breaks = [&](std::int32_t t) { return std::binary_search(breakers.begin(), breakers.end(), t); };
  const auto unbroken =
      static_cast<int>(std::find_if(reversed.begin(), reversed.end(), breaks) - reversed.begin());

  // An earlier place i whose past matches the present for n tokens was followed by reversed[i - 1].
  const std::vector<int> z = z_function(reversed);
  std::unordered_map<std::int32_t, int> longest;
  for (std::size_t i = 1; i < reversed.size(); ++i) {
    const int n = std::min(z[i], unbroken);
    if (n >= o.dry_allowed_length && !breaks(reversed[i - 1])) {
      int& best = longest[reversed[i - 1]];
      best = std::max(best, n);
    }
  }
  // Past this exponent the penalty only grows beyond what a float holds.
  const auto max_exponent = static_cast<int>(o.dry_base > 1 ? 88.7F / std::log(o.dry_base) : 1 << 20);
  for (const auto& [token, n] : longest)
    logits[static_cast<std::size_t>(token)] -=
        o.dry_multiplier *
        std::pow(o.dry_base, static_cast<float>(std::min(n - o.dry_allowed_length, max_exponent)));
}

}  // namespace medlar::penalties
