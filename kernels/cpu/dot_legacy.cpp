// Direct products: the types with blocks of 32 here, the others in dot_super.cpp.
#include "kernels/cpu/dot_nibbles.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

// How products with blocks that kNibbles describes are made.
#if defined(MEDLAR_HALVES)
template <class W, int kRows, int kChains>
using DirectFour = DirectNibbles<W, kRows, kChains>;
#else
template <class W, int kRows, int kChains>
using DirectFour = Direct32<W, kRows, kChains>;
#endif

}  // namespace

void dot_direct(DType type, const RowsDot& a) {
  switch (type) {
    case DType::q4_0:
      return direct<Weights<DType::q4_0>, DirectFour>(a);
    case DType::q4_1:
      return direct<Weights<DType::q4_1>, DirectFour>(a);
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
