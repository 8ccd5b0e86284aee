// A group of weights that was unpacked first, as kernels take blocks.
#pragma once

#include "kernels/cpu/activation.h"
#include "kernels/cpu/weights.h"

namespace medlar::kernels::MEDLAR_ISA {

// The weights that meet a group of activations.
struct alignas(64) UnpackedGroup {
  uint8_t codes[kActGroup];
  float scale[kActGroup / 16];
  float offset[kActGroup / 16];
};

template <int kSub>
struct UnpackedWeights : Super<sizeof(UnpackedGroup), kSub> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return bytes64(p + 64 * kPart);
  }
  static MEDLAR_INLINE Scales256<kActGroup / kSub> scales(const std::byte* p) {
    const auto& group = *reinterpret_cast<const UnpackedGroup*>(p);
    return {load_floats<kActGroup / kSub>(group.scale), load_floats<kActGroup / kSub>(group.offset)};
  }
};

}  // namespace medlar::kernels::MEDLAR_ISA
