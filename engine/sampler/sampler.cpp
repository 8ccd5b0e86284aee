#include "engine/sampler/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "engine/sampler/filters.h"
#include "engine/sampler/penalties.h"

namespace medlar {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

double log_sum_exp(std::span<const float> logits) {
  float best = -kInfinity;
  for (float x : logits)
    if (x > best) best = x;
  double sum = 0;
  for (float x : logits)
    if (!std::isnan(x)) sum += std::exp(static_cast<double>(x) - best);
  return best + std::log(sum);
}

std::uint64_t pick_seed(const SamplerOptions& options) {
  if (!options.random_seed) return options.seed;
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

void check_range(std::string_view field, double value, double low, double high) {
  if (!(value >= low && value <= high))
    fail(ErrorKind::usage, "{} is {}, but must be from {} to {}", field, value, low, high);
}

// Tokens without a bit are banned too: a model may have more rows of logits than its vocabulary has tokens.
bool has_bit(std::span<const std::uint64_t> allowed, std::size_t token) {
  return token / 64 < allowed.size() && (allowed[token / 64] >> (token % 64) & 1) != 0;
}

void ban_others(std::span<float> logits, std::span<const std::uint64_t> allowed) {
  for (std::size_t t = 0; t < logits.size(); ++t)
    if (!has_bit(allowed, t)) logits[t] = -kInfinity;
}

}  // namespace

void validate(const SamplerOptions& o, std::int64_t vocab) {
  constexpr double kAny = std::numeric_limits<float>::max();
  check_range("temperature", o.temperature, 0, kAny);
  check_range("top_p", o.top_p, 0, 1);
  check_range("min_p", o.min_p, 0, 1);
  check_range("typical_p", o.typical_p, 0, 1);
  check_range("top_n_sigma", o.top_n_sigma, -1, kAny);
  check_range("repeat_penalty", o.repeat_penalty, 1e-3, kAny);
  check_range("presence_penalty", o.presence_penalty, -kAny, kAny);
  check_range("frequency_penalty", o.frequency_penalty, -kAny, kAny);
  check_range("dry_multiplier", o.dry_multiplier, 0, kAny);
  check_range("dry_base", o.dry_base, 0, kAny);
  check_range("dry_allowed_length", o.dry_allowed_length, 0, 1 << 20);
  check_range("xtc_probability", o.xtc_probability, 0, 1);
  check_range("xtc_threshold", o.xtc_threshold, 0, 1);
  check_range("mirostat", o.mirostat, 0, 2);
  check_range("mirostat_tau", o.mirostat_tau, 0, kAny);
  check_range("mirostat_eta", o.mirostat_eta, 0, kAny);
  check_range("min_keep", o.min_keep, 1, 1 << 20);
  for (const LogitBias& b : o.logit_bias) {
    if (b.token < 0 || b.token >= vocab)
      fail(ErrorKind::usage, "logit_bias names token {}, but the vocabulary has {}", b.token, vocab);
    if (std::isnan(b.bias)) fail(ErrorKind::usage, "logit_bias of token {} is not a number", b.token);
  }
}

Sampler::Sampler(const SamplerOptions& options, std::int64_t vocab, std::vector<std::int32_t> dry_breakers)
    : options_(options),
      dry_breakers_(std::move(dry_breakers)),
      seed_(pick_seed(options)),
      random_(seed_),
      vocab_(static_cast<std::size_t>(vocab)),
      mu_(2 * options.mirostat_tau) {
  validate(options_, vocab);
  std::sort(dry_breakers_.begin(), dry_breakers_.end());
}

std::int32_t Sampler::sample(std::span<const float> logits, std::span<const std::int32_t> history,
                             std::span<const std::uint64_t> allowed) {
  logits_.assign(logits.begin(), logits.end());
  cleared_ = false;
  if (!allowed.empty()) ban_others(logits_, allowed);
  change(history);
  if (const std::size_t k = cut()) {
    candidates_.assign_best(logits_, k);
  } else {
    candidates_.assign(logits_);
    if (options_.mirostat == 0) {
      filters::top_n_sigma(candidates_, options_.top_n_sigma);
      filters::top_k(candidates_, options_.top_k, static_cast<std::size_t>(options_.min_keep));
    }
  }
  return choose();
}

std::optional<std::int32_t> Sampler::sample_best(std::span<const runtime::TokenLogit> best,
                                                 std::span<const std::int32_t> history,
                                                 std::span<const std::uint64_t> allowed) {
  const std::size_t k = cut();
  if (best.empty() || k == 0 || !only_lowers(best)) return std::nullopt;
  if (!cleared_) logits_.assign(vocab_, -kInfinity);
  cleared_ = true;
  Candidate worst{best[0].token, best[0].logit};
  for (const runtime::TokenLogit& t : best) {
    if (const Candidate c{t.token, t.logit}; better(worst, c)) worst = c;
    if (allowed.empty() || has_bit(allowed, static_cast<std::size_t>(t.token)))
      logits_[static_cast<std::size_t>(t.token)] = t.logit;
  }
  change(history);
  candidates_.assign(logits_, best);
  for (const runtime::TokenLogit& t : best) logits_[static_cast<std::size_t>(t.token)] = -kInfinity;
  // Those that are not listed come behind the worst that is.
  candidates_.keep_best(k);
  if (candidates_.size() < k || better(worst, candidates_.view().back())) return std::nullopt;
  return choose();
}

// Whether tokens that are not listed stay behind those that are.
bool Sampler::only_lowers(std::span<const runtime::TokenLogit> listed) const {
  const SamplerOptions& o = options_;
  if (o.repeat_penalty < 1 || o.presence_penalty < 0 || o.frequency_penalty < 0) return false;
  return std::ranges::all_of(o.logit_bias, [&](const LogitBias& b) {
    return b.bias <= 0 || std::ranges::find(listed, b.token, &runtime::TokenLogit::token) != listed.end();
  });
}

// How many of the best are all that the later samplers see; 0: it is not so simple.
std::size_t Sampler::cut() const {
  if (options_.temperature == 0) return 1;
  if (options_.mirostat || options_.top_k <= 0 || options_.top_n_sigma > 0) return 0;
  return static_cast<std::size_t>(std::max(options_.top_k, options_.min_keep));
}

void Sampler::change(std::span<const std::int32_t> history) {
  for (const LogitBias& b : options_.logit_bias) logits_[static_cast<std::size_t>(b.token)] += b.bias;
  penalties::repetition(logits_, history, options_);
  penalties::dry(logits_, history, options_, dry_breakers_);
}

// Of the candidates as top-k has left them; -1: there are none.
std::int32_t Sampler::choose() {
  if (candidates_.size() == 0) return -1;
  if (options_.temperature == 0) return candidates_.view()[0].token;
  options_.mirostat ? mirostat_filter() : filter();
  const Candidate chosen = candidates_.view()[filters::draw(candidates_, random_)];
  if (options_.mirostat)
    mu_ -= options_.mirostat_eta * (-std::log2(chosen.probability) - options_.mirostat_tau);
  return chosen.token;
}

// Everything behind top-k.
void Sampler::filter() {
  const auto min_keep = static_cast<std::size_t>(options_.min_keep);
  filters::typical(candidates_, options_.typical_p, min_keep);
  filters::top_p(candidates_, options_.top_p, min_keep);
  filters::min_p(candidates_, options_.min_p, min_keep);
  filters::xtc(candidates_, options_, random_);
  filters::temperature(candidates_, options_.temperature);
}

// Version 2 cuts at the surprise bound itself; version 1 estimates the top-k that gives it from Zipf's
// exponent.
void Sampler::mirostat_filter() {
  filters::temperature(candidates_, options_.temperature);
  candidates_.sort();
  candidates_.softmax();
  const auto view = candidates_.view();
  if (options_.mirostat == 2) {
    std::size_t n = 1;
    while (n < view.size() && -std::log2(view[n].probability) <= mu_) ++n;
    candidates_.truncate(n);
    return;
  }
  double numerator = 0, denominator = 0;
  for (std::size_t i = 0; i + 1 < std::min<std::size_t>(view.size(), 100) && view[i + 1].probability > 0;
       ++i) {
    const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
    const double b = std::log(static_cast<double>(view[i].probability) / view[i + 1].probability);
    numerator += t * b, denominator += t * t;
  }
  const double s = denominator > 0 ? numerator / denominator : 1, epsilon = s - 1;
  const auto n = static_cast<double>(view.size());
  const double k = std::pow(epsilon * std::pow(2, mu_) / (1 - std::pow(n, -epsilon)), 1 / s);
  candidates_.truncate(static_cast<std::size_t>(std::clamp(std::isfinite(k) ? std::round(k) : 1.0, 1.0, n)));
}

std::vector<TokenProbability> best_tokens(std::span<const float> logits, int n) {
  const double total = log_sum_exp(logits);
  Candidates candidates;
  candidates.assign_best(logits, static_cast<std::size_t>(std::max(n, 0)));
  std::vector<TokenProbability> result;
  for (const Candidate& c : candidates.view())
    result.push_back({c.token, static_cast<float>(c.logit - total)});
  return result;
}

float log_probability(std::span<const float> logits, std::int32_t token) {
  return static_cast<float>(logits[static_cast<std::size_t>(token)] - log_sum_exp(logits));
}

}  // namespace medlar
