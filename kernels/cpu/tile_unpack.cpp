// Weight rows as bf16 lines of tiles. Within a line of 32 values, word 2i is value i and word 2i + 1 is value
// 16 + i: two vectors of floats then make one line, and activations are stored in the same order.
#include "kernels/cpu/decode.h"
#include "kernels/cpu/panel.h"
#include "kernels/cpu/tile_ops.h"
#include "kernels/cpu/tile_unit.h"
#include "kernels/cpu/unpacked.h"
#include "kernels/cpu/weights.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

// Codes 16 kQuarter to 16 kQuarter + 15 as floats, plus kMagic: each code is put into the mantissa of a float
// whose last place is 1 there.
template <bool kWide>
struct Magic {
  static constexpr float kValue = kWide ? 32768.0f : 128.0f;
  static constexpr int kBits = kWide ? 0x47000000 : 0x43000000;
  static constexpr int kByte = kWide ? 1 : 2;
};

template <bool kWide, int kQuarter>
MEDLAR_INLINE F with_magic(__m512i codes) {
  constexpr auto at = [](int lane) { return (16 * kQuarter + lane) << (8 * Magic<kWide>::kByte); };
  const __m512i index = _mm512_setr_epi32(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8),
                                          at(9), at(10), at(11), at(12), at(13), at(14), at(15));
  constexpr __mmask64 kPlace = 0x1111111111111111ull << Magic<kWide>::kByte;
  return _mm512_castsi512_ps(
      _mm512_mask_permutexvar_epi8(_mm512_set1_epi32(Magic<kWide>::kBits), kPlace, index, codes));
}

// scale and scale * magic + offset of every kSub values.
struct alignas(64) Factors {
  float scale[16], offset[16];
};

// Two lines of 64 codes, whose first value is the block's value 64 kPart.
template <class W, int kPart>
MEDLAR_INLINE void store_lines(__m512i codes, const Factors& f, std::byte* to) {
  constexpr int kFirst = 64 * kPart / W::kSub;
  constexpr auto factor = [](int quarter) { return kFirst + 16 * quarter / W::kSub; };
  const auto value = [&](F code, int i) __attribute__((always_inline)) {
    return _mm512_fmsub_ps(code, splat(f.scale[i]), splat(f.offset[i]));
  };
  const F a = value(with_magic<W::kWide, 0>(codes), factor(0));
  const F b = value(with_magic<W::kWide, 1>(codes), factor(1));
  const F c = value(with_magic<W::kWide, 2>(codes), factor(2));
  const F d = value(with_magic<W::kWide, 3>(codes), factor(3));
  _mm512_store_si512(to, bf16_pairs(a, b));
  _mm512_store_si512(to + kTileBytes, bf16_pairs(c, d));
}

template <class W, int kPart, int kParts>
MEDLAR_INLINE void store_parts(const std::byte* p, const Factors& f, std::byte* to) {
  store_lines<W, kPart>(W::template codes<kPart>(p).v[0], f, to + 2 * kPart * kTileBytes);
  if constexpr (kPart + 1 < kParts) store_parts<W, kPart + 1, kParts>(p, f, to);
}

template <int kLines>
MEDLAR_INLINE void prefetch(const std::byte* p) {
  for (int line = 0; line < kLines; ++line) __builtin_prefetch(p + 64 * line);
}

template <class W>
void unpack_256(const UnpackTiles& a) {
  std::byte* to = a.to;
  const std::byte* p = a.from;
  for (int64_t at = 0; at < a.values; at += 256, p += W::kStepBytes, to += 8 * kTileBytes) {
    prefetch<(W::kStepBytes + 63) / 64>(p + a.ahead);
    const auto scales = W::scales(p);
    Factors f;
    const F scale = scales.scale.v[0];
    store(f.scale, scale);
    store(f.offset, fma(scale, splat(Magic<W::kWide>::kValue), scales.offset.v[0]));
    store_parts<W, 0, 4>(p, f, to);
  }
}

template <class W>
MEDLAR_INLINE Factors factors_32(Scales32 s) {
  Factors f;
  store4(f.scale, s.scale);
  store4(f.offset, fma4(s.scale, splat_quad(Magic<W::kWide>::kValue), s.offset));
  return f;
}

template <class W>
void unpack_32(const UnpackTiles& a) {
  std::byte* to = a.to;
  const std::byte* p = a.from;
  int64_t at = 0;
  for (; at + 128 <= a.values; at += 128, p += W::kStepBytes, to += 4 * kTileBytes) {
    prefetch<(W::kStepBytes + 63) / 64>(p + a.ahead);
    store_parts<W, 0, 2>(p, factors_32<W>(W::template scales<4>(p)), to);
  }
  for (; at < a.values; at += 64, p += 2 * W::kBlockBytes, to += 2 * kTileBytes) {
    const bool both = a.values - at >= 64;
    alignas(64) std::byte two[2 * W::kBlockBytes] = {}, lines[2 * kTileBytes];
    memcpy(two, p, static_cast<size_t>(both ? 2 : 1) * W::kBlockBytes);
    store_parts<W, 0, 1>(two, factors_32<W>(W::template scales<2>(two)), lines);
    memcpy(to, lines, 64);
    if (both) memcpy(to + kTileBytes, lines + kTileBytes, 64);
  }
}

// The first `parts` parts of a group.
template <class W, int kPart>
MEDLAR_INLINE void store_first_parts(const std::byte* p, int64_t parts, const Factors& f, std::byte* to) {
  if (kPart >= parts) return;
  store_parts<W, kPart, kPart + 1>(p, f, to);
  if constexpr (kPart < 3) store_first_parts<W, kPart + 1>(p, parts, f, to);
}

// The types that are unpacked first, of which kSub values share a scale.
template <int kSub>
void unpack_group(DType type, const UnpackTiles& a) {
  using W = UnpackedWeights<kSub>;
  const int64_t bytes = stored_bytes(type, kActGroup);
  std::byte* to = a.to;
  const std::byte* p = a.from;
  UnpackedGroup group;
  memset(&group, 0, sizeof group);
  for (int64_t at = 0; at < a.values; at += kActGroup, p += bytes, to += 8 * kTileBytes) {
    prefetch<2>(p + a.ahead);
    const int64_t n = least(kActGroup, a.values - at);
    avx512::unpack_block(type, p, n, group.codes, group.scale, group.offset);
    const auto* unpacked = reinterpret_cast<const std::byte*>(&group);
    const auto scales = W::scales(unpacked);
    Factors f;
    store(f.scale, scales.scale.v[0]);
    store(f.offset, fma(scales.scale.v[0], splat(Magic<false>::kValue), scales.offset.v[0]));
    store_first_parts<W, 0>(unpacked, n / 64, f, to);
  }
}

template <DType kType>
void unpack_plain(const UnpackTiles& a) {
  for (int64_t at = 0; at < a.values; at += kTileDepth) {
    const std::byte* p = a.from + 2 * at;
    prefetch<1>(p + a.ahead);
    F low, high;
    if constexpr (kType == DType::f16) {
      low = load_f16(p), high = load_f16(p + 32);
    } else {
      low = load_bf16(p), high = load_bf16(p + 32);
    }
    _mm512_store_si512(a.to + at / kTileDepth * kTileBytes, bf16_pairs(low, high));
  }
}

}  // namespace

template <DType kType>
void unpack_tiles(const UnpackTiles& a) {
  if constexpr (kType == DType::f16 || kType == DType::bf16) {
    unpack_plain<kType>(a);
  } else if constexpr (!requires { sizeof(Weights<kType>); }) {
    unpack_group<values_per_scale(kType)>(kType, a);
  } else if constexpr (Weights<kType>::kStep == 256) {
    unpack_256<Weights<kType>>(a);
  } else {
    unpack_32<Weights<kType>>(a);
  }
}

#define MEDLAR_INSTANTIATE(type) template void unpack_tiles<DType::type>(const UnpackTiles&);
MEDLAR_TILE_TYPES(MEDLAR_INSTANTIATE)
#undef MEDLAR_INSTANTIATE

}  // namespace medlar::kernels::MEDLAR_ISA
