// The progress of writing a synthetic model, as a bar.
#pragma once

#include <cstdint>
#include <functional>

#include "cli/console.h"

namespace medlar::cli {

// For tune::SynthOptions. The bar is cleared when the last copy goes away.
std::function<void(std::uint64_t done, std::uint64_t total)> synth_progress(const Console& console);

}  // namespace medlar::cli
