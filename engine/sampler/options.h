// Sampling settings: one field a sampler, neutral values switch it off.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace medlar {

struct LogitBias {
  std::int32_t token = 0;
  float bias = 0;  // added to the logit; -infinity bans the token
};

// Applied in the order of the fields. Defaults are those people know from other runtimes.
struct SamplerOptions {
  std::uint64_t seed = 0;
  bool random_seed = true;  // ignore `seed` and take one from the system; the one taken is reported

  std::vector<LogitBias> logit_bias;

  // Penalties on what was already said (Keskar et al. 2019; OpenAI's presence and frequency penalties).
  int penalty_last_n = 64;  // tokens looked back at; -1: all; 0: off
  float repeat_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;

  // DRY: penalises tokens that would extend a repeated sequence (p-e-w 2024).
  float dry_multiplier = 0;  // 0: off
  float dry_base = 1.75F;
  int dry_allowed_length = 2;
  int dry_penalty_last_n = -1;
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};

  float top_n_sigma =
      -1;               // keeps logits within n standard deviations of the best (Tang et al. 2024); <= 0: off
  int top_k = 40;       // <= 0: all
  float typical_p = 1;  // locally typical sampling (Meister et al. 2022); 1: off
  float top_p = 0.95F;  // nucleus sampling (Holtzman et al. 2020); 1: off
  float min_p = 0.05F;  // relative to the best token (Nguyen et al. 2024); 0: off
  float xtc_probability = 0;  // exclude top choices (p-e-w 2024); 0: off
  float xtc_threshold = 0.1F;

  float temperature = 0.8F;  // 0: the most likely token
  int mirostat = 0;          // 1 or 2 replaces the filters above by perplexity control (Basu et al. 2021)
  float mirostat_tau = 5;
  float mirostat_eta = 0.1F;

  int min_keep = 1;  // candidates a filter always leaves
};

// Throws Error(usage) naming the field when a value is not a number or out of its range.
void validate(const SamplerOptions& options, std::int64_t vocab);

}  // namespace medlar
