// The grids of formats/ spread out for unpacking: a byte for each value of a point, in the order of the
// values.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medlar::kernels {

// Only data: code of any instruction set reads it.
template <class T, std::size_t kCount>
struct Table {
  T at[kCount];
};

// Points of eight values. IQ1: -1, 0 or 1, plus 1; IQ2: magnitudes plus 43, the greatest.
extern const Table<std::uint64_t, 2048> kIq1Points;
extern const Table<std::uint64_t, 256> kIq2XxsPoints;
extern const Table<std::uint64_t, 512> kIq2XsPoints;
extern const Table<std::uint64_t, 1024> kIq2SPoints;
// Points of four: magnitudes plus the greatest, 62 (IQ3_XXS) or 15 (IQ3_S).
extern const Table<std::uint32_t, 256> kIq3XxsPoints;
extern const Table<std::uint32_t, 512> kIq3SPoints;
// Half of the value of every scale of NVFP4.
extern const Table<float, 256> kHalfE4m3;

}  // namespace medlar::kernels
