// A stretch of a weight row as bytes and floats, for panels.
#include "kernels/cpu/panel.h"
#include "kernels/cpu/weights.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

template <class W, int kPart, int kParts>
MEDLAR_INLINE void store_parts(const std::byte* p, uint8_t* codes) {
  store_codes(codes + 64 * kPart, W::template codes<kPart>(p));
  if constexpr (kPart + 1 < kParts) store_parts<W, kPart + 1, kParts>(p, codes);
}

MEDLAR_INLINE void store_scales(const Scales32& s, int64_t at, const Unpacked& to) {
  store4(to.scale + at, s.scale);
  store4(to.offset + at, s.offset);
}

template <class W>
void unpack_32(const std::byte* p, int64_t n, const Unpacked& to) {
  int64_t at = 0;
  for (; at + 128 <= n; at += 128, p += W::kStepBytes) {
    store_scales(W::template scales<4>(p), at / 32, to);
    store_parts<W, 0, 2>(p, to.codes + at);
  }
  for (; at < n; at += 64, p += 2 * W::kBlockBytes) {
    alignas(64) std::byte two[2 * W::kBlockBytes] = {};
    memcpy(two, p, static_cast<size_t>(n - at >= 64 ? 2 : 1) * W::kBlockBytes);
    store_scales(W::template scales<2>(two), at / 32, to);
    store_parts<W, 0, 1>(two, to.codes + at);
  }
}

template <class W>
void unpack_256(const std::byte* p, int64_t n, const Unpacked& to) {
  for (int64_t at = 0; at < n; at += 256, p += W::kStepBytes) {
    const auto scales = W::scales(p);
    store_floats(to.scale + at / W::kSub, scales.scale);
    store_floats(to.offset + at / W::kSub, scales.offset);
    store_parts<W, 0, 4>(p, to.codes + at);
  }
}

}  // namespace

UnpackFn unpack_for(DType type) {
  switch (type) {
    case DType::q4_0:
      return unpack_32<Weights<DType::q4_0>>;
    case DType::q4_1:
      return unpack_32<Weights<DType::q4_1>>;
    case DType::q5_0:
      return unpack_32<Weights<DType::q5_0>>;
    case DType::q5_1:
      return unpack_32<Weights<DType::q5_1>>;
    case DType::q8_0:
      return unpack_32<Weights<DType::q8_0>>;
    case DType::iq4_nl:
      return unpack_32<Weights<DType::iq4_nl>>;
    case DType::mxfp4:
      return unpack_32<Weights<DType::mxfp4>>;
    case DType::q2_k:
      return unpack_256<Weights<DType::q2_k>>;
    case DType::q3_k:
      return unpack_256<Weights<DType::q3_k>>;
    case DType::q4_k:
      return unpack_256<Weights<DType::q4_k>>;
    case DType::q5_k:
      return unpack_256<Weights<DType::q5_k>>;
    case DType::q6_k:
      return unpack_256<Weights<DType::q6_k>>;
    case DType::iq4_xs:
      return unpack_256<Weights<DType::iq4_xs>>;
    default:
      return unpack_grid_for(type);
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
