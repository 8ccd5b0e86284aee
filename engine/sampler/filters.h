// The samplers that narrow or reshape the candidates. Each is its paper in a few lines.
#pragma once

#include <cstdint>
#include <random>
#include <span>

#include "engine/sampler/candidates.h"
#include "engine/sampler/options.h"

namespace medlar::filters {

// Uniform in [0, 1) with 53 bits: the same on every platform, unlike std::uniform_real_distribution.
double uniform(std::mt19937_64& random);

void top_n_sigma(Candidates& candidates, float n);
void top_k(Candidates& candidates, int k, std::size_t min_keep);
void typical(Candidates& candidates, float p, std::size_t min_keep);
void top_p(Candidates& candidates, float p, std::size_t min_keep);
void min_p(Candidates& candidates, float p, std::size_t min_keep);
void xtc(Candidates& candidates, const SamplerOptions& options, std::mt19937_64& random);
void temperature(Candidates& candidates, float temperature);

// Draws an index of candidates.view() by probability.
std::size_t draw(Candidates& candidates, std::mt19937_64& random);

}  // namespace medlar::filters
