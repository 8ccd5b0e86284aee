// Direct products: the types with blocks of 32 here, the others in dot_super.cpp.
#include "kernels/cpu/dot_direct.h"

namespace medlar::kernels::MEDLAR_ISA {

void dot_direct(DType type, const RowsDot& a) {
  switch (type) {
    case DType::q4_0:
      return direct<Weights<DType::q4_0>, Direct32>(a);
    case DType::q4_1:
      return direct<Weights<DType::q4_1>, Direct32>(a);
    case DType::q5_0:
      return direct<Weights<DType::q5_0>, Direct32>(a);
    case DType::q5_1:
      return direct<Weights<DType::q5_1>, Direct32>(a);
    case DType::q8_0:
      return direct<Weights<DType::q8_0>, Direct32>(a);
    case DType::iq4_nl:
      return direct<Weights<DType::iq4_nl>, Direct32>(a);
    case DType::mxfp4:
      return direct<Weights<DType::mxfp4>, Direct32>(a);
    default:
      return dot_direct_256(type, a);
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
