// What the scores of many tokens come to: perplexity, and how far a model is from a base.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "eval/row.h"
#include "eval/statistics.h"

namespace medlar::eval {

// The definitions are those of llama.cpp's llama-perplexity (docs/quality.md).
struct Comparison {
  Estimate base_nll, base_perplexity;
  Estimate log_ratio;      // ln of perplexity / base perplexity; errors of both go together
  double correlation = 0;  // of the two models' -ln p
  Estimate kl;             // nats a token
  Quantiles kl_quantiles;
  Estimate p_change, p_change_rms;  // of the probability of the token that follows
  Quantiles p_change_quantiles;
  Estimate same_best;  // share of tokens
};

struct Quality {
  std::int64_t tokens = 0;  // scored
  Estimate nll, perplexity;
  std::optional<Comparison> comparison;
};

Quality quality(std::span<const TokenScore> scores, bool compared);
// Of the base, as another's comparison knows it.
Quality base_quality(const Quality& compared);

}  // namespace medlar::eval
