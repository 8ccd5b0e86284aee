// Picks the product loops of an instruction set.
#include "kernels/cpu/peak.h"

#include <array>
#include <cstring>
#include <numeric>

#include "kernels/cpu/prefetch.h"

namespace medlar::kernels {

namespace scalar {
PeakLoops peak_loops();
}
namespace avx2 {
PeakLoops peak_loops();
}
namespace avx2_vnni {
PeakLoops peak_loops();
}
namespace avx512 {
PeakLoops peak_loops();
}
namespace amx {
PeakLoops peak_loops();
}
namespace neon {
PeakLoops peak_loops();
}
namespace neon_i8mm {
PeakLoops peak_loops();
}

namespace accelerate {
PeakLoops peak_loops();
}

PeakLoops peak_loops(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return scalar::peak_loops();
#if defined(MEDLAR_HAS_AVX2)
    case Isa::avx2:
      return avx2::peak_loops();
#endif
#if defined(MEDLAR_HAS_AVX2_VNNI)
    case Isa::avx2_vnni:
      return avx2_vnni::peak_loops();
#endif
#if defined(MEDLAR_HAS_AVX512)
    case Isa::avx512:
      return avx512::peak_loops();
#endif
#if defined(MEDLAR_HAS_AMX)
    case Isa::amx:
      return amx::peak_loops();
#endif
#if defined(MEDLAR_HAS_NEON)
    case Isa::neon:
      return neon::peak_loops();
#endif
#if defined(MEDLAR_HAS_NEON_I8MM)
    case Isa::neon_i8mm:
      return neon_i8mm::peak_loops();
#endif
#if defined(MEDLAR_HAS_ACCELERATE)
    case Isa::accelerate:
      return accelerate::peak_loops();
#endif
    default:
      return {};
  }
}

// In two streams, as products have them, and with eight sums, so that no addition waits for the one before
// it.
std::uint64_t read_all(std::span<const std::byte> bytes) {
  std::array<std::uint64_t, 8> sums{}, line{};
  const std::size_t half = bytes.size() / 2;
  for (std::size_t at = 0; at + sizeof line <= half; at += sizeof line) {
    for (const std::byte* stream : {bytes.data() + at, bytes.data() + half + at}) {
      __builtin_prefetch(stream + kPrefetchBytes);
      std::memcpy(line.data(), stream, sizeof line);
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += line[i];
    }
  }
  return std::accumulate(sums.begin(), sums.end(), std::uint64_t{0});
}

}  // namespace medlar::kernels
