// Sampler: from logits to the next token, through the chain of samplers, reproducible by seed.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "engine/sampler/candidates.h"
#include "engine/sampler/options.h"

namespace medlar {

struct TokenProbability {
  std::int32_t token = 0;
  float logprob = 0;  // of the model before any sampler
};

// One per generation; holds the random state and mirostat's. Order: logit bias, penalties, DRY, top-n-sigma,
// top-k, typical, top-p, min-p, XTC, temperature, draw.
class Sampler {
 public:
  // `dry_breakers` are the tokens that contain a DRY sequence breaker. Throws as validate() does.
  Sampler(const SamplerOptions& options, std::int64_t vocab, std::vector<std::int32_t> dry_breakers = {});

  // The next token after `history` (everything so far, prompt included), or -1 when none can follow: every
  // logit is -infinity or not a number. `logits` is (vocab).
  // Where `allowed` is not empty, only tokens whose bits are set are chosen from: bit t % 64 of word t / 64.
  std::int32_t sample(std::span<const float> logits, std::span<const std::int32_t> history,
                      std::span<const std::uint64_t> allowed = {});

  // The same from the best of the logits alone, as runtime::Program::best() gives them; nothing where the
  // others could change the result, and then nothing has happened.
  std::optional<std::int32_t> sample_best(std::span<const runtime::TokenLogit> best,
                                          std::span<const std::int32_t> history,
                                          std::span<const std::uint64_t> allowed = {});

  std::uint64_t seed() const { return seed_; }

 private:
  std::size_t cut() const;
  void change(std::span<const std::int32_t> history);
  bool only_lowers(std::span<const runtime::TokenLogit> listed) const;
  std::int32_t choose();
  void filter();
  void mirostat_filter();

  SamplerOptions options_;
  std::vector<std::int32_t> dry_breakers_;
  std::uint64_t seed_;
  std::mt19937_64 random_;
  const std::size_t vocab_;
  std::vector<float> logits_;  // after bias and penalties
  bool cleared_ = false;       // all of logits_ are -infinity
  Candidates candidates_;
  float mu_;  // mirostat: the current bound on surprise, in bits
};

// What the model itself says, before any sampler: (token, log probability) of the n most likely, best first.
std::vector<TokenProbability> best_tokens(std::span<const float> logits, int n);
float log_probability(std::span<const float> logits, std::int32_t token);

}  // namespace medlar
