// What this machine can do at most: the yardstick beside every benchmark figure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/team.h"
#include "kernels/cpu/peak.h"

namespace medlar::tune {

// Bytes a second at which the whole team reads `bytes` once, each member its share: the best of several
// passes. For decode, which reads every weight once for each token, pass the mapped weights: then it is the
// speed of the memory, or of a cache that holds them all, as it is for the model.
double read_bandwidth(Team& team, std::span<const std::span<const std::byte>> bytes);

// Multiplications and additions a second of the team: a register-blocked product over data in the first
// cache, or already in tile registers. Nothing is unpacked or scaled. None for an empty loop.
std::optional<double> product_peak(Team& team, const kernels::PeakLoop& loop);

}  // namespace medlar::tune
