#include "eval/quality.h"

#include <algorithm>
#include <vector>

namespace medlar::eval {
namespace {

std::vector<double> column(std::span<const TokenScore> scores, double TokenScore::* member) {
  std::vector<double> values;
  values.reserve(scores.size());
  for (const TokenScore& s : scores) values.push_back(s.*member);
  return values;
}

Comparison compare(std::span<const TokenScore> scores, std::span<const double> nll) {
  const std::vector<double> base_nll = column(scores, &TokenScore::base_nll);
  std::vector<double> kl = column(scores, &TokenScore::kl), change = column(scores, &TokenScore::p_change);
  const PairedMeans pair = paired_means(nll, base_nll);
  Comparison c{
      .base_nll = mean(base_nll),
      .base_perplexity = {},
      .log_ratio = pair.difference,
      .correlation = pair.correlation,
      .kl = mean(kl),
      .kl_quantiles = {},
      .p_change = mean(change),
      .p_change_rms = root_mean_square(change),
      .p_change_quantiles = {},
      .same_best = share(std::ranges::count(scores, true, &TokenScore::same_best), std::ssize(scores))};
  c.base_perplexity = exponential(c.base_nll);
  c.kl_quantiles = quantiles(std::move(kl));
  c.p_change_quantiles = quantiles(std::move(change));
  return c;
}

}  // namespace

Quality quality(std::span<const TokenScore> scores, bool compared) {
  const std::vector<double> nll = column(scores, &TokenScore::nll);
  Quality q{.tokens = std::ssize(scores), .nll = mean(nll), .perplexity = {}, .comparison = {}};
  q.perplexity = exponential(q.nll);
  if (compared) q.comparison = compare(scores, nll);
  return q;
}

Quality base_quality(const Quality& compared) {
  const Comparison& c = *compared.comparison;
  return {.tokens = compared.tokens, .nll = c.base_nll, .perplexity = c.base_perplexity, .comparison = {}};
}

}  // namespace medlar::eval
