// Penalties that depend on what was said: repetition, presence, frequency, and DRY.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampler/options.h"

namespace medlar::penalties {

// Divides positive logits of recent tokens by repeat_penalty (multiplies negative ones), and subtracts
// count x frequency_penalty + presence_penalty.
void repetition(std::span<float> logits, std::span<const std::int32_t> history,
                const SamplerOptions& options);

// DRY: a token that would continue a repetition of length n > allowed_length loses
// multiplier x base^(n - allowed_length). `breakers` are tokens that no repetition crosses, sorted.
void dry(std::span<float> logits, std::span<const std::int32_t> history, const SamplerOptions& options,
         std::span<const std::int32_t> breakers);

}  // namespace medlar::penalties
