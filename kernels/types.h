// The activations that go with each weight type.
#pragma once

#include "formats/dtype.h"
#include "kernels/args.h"

namespace medlar::kernels {

// The activations that a weight type is multiplied with unless exactness is asked for (ActKind::f32, which
// every type takes).
constexpr ActKind act_kind(DType weight) {
  switch (weight) {
    case DType::q4_0:
    case DType::q4_1:
    case DType::q5_0:
    case DType::q5_1:
    case DType::q8_0:
    case DType::iq4_nl:
    case DType::mxfp4:
    case DType::q2_k:
    case DType::q3_k:
    case DType::q4_k:
    case DType::q5_k:
    case DType::q6_k:
    case DType::iq4_xs:
    case DType::iq3_s:
    case DType::iq3_xxs:
    case DType::iq2_s:
    case DType::iq2_xs:
    case DType::iq2_xxs:
    case DType::iq1_m:
    case DType::iq1_s:
    case DType::tq2_0:
    case DType::tq1_0:
    case DType::nvfp4:
      return ActKind::q8;
    default:
      return ActKind::f32;
  }
}

}  // namespace medlar::kernels
