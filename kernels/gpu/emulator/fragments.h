// The layouts of a 16x16 tile over 32 lanes of 8 elements.
#pragma once

#include "kernels/gpu/emulator/machine.h"

namespace medlar::emulator {

const FragmentMap& fragment_map(FragmentLayout layout);

}  // namespace medlar::emulator
