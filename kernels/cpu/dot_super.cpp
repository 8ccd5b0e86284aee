// Direct products of the types with blocks of 256.
#include "kernels/cpu/dot_direct.h"

namespace medlar::kernels::MEDLAR_ISA {

void dot_direct_256(DType type, const RowsDot& a) {
  switch (type) {
    case DType::q2_k:
      return direct<Weights<DType::q2_k>, Direct256>(a);
    case DType::q3_k:
      return direct<Weights<DType::q3_k>, Direct256>(a);
    case DType::q4_k:
      return direct<Weights<DType::q4_k>, Direct256>(a);
    case DType::q5_k:
      return direct<Weights<DType::q5_k>, Direct256>(a);
    case DType::q6_k:
      return direct<Weights<DType::q6_k>, Direct256>(a);
    case DType::iq4_xs:
      return direct<Weights<DType::iq4_xs>, Direct256>(a);
    default:
      return dot_unpacked(type, a);
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
