// The formats' own decoders and encoders, by type, and the rows they make.
#include "kernels/cpu/decode.h"

#include "formats/all.h"

namespace medlar::kernels {

void decode_values(DType type, const std::byte* from, float* to, std::int64_t n) {
  formats::decode_row(type, from, to, n);
}

void encode_values(DType type, const float* from, std::byte* to, std::int64_t n) {
  formats::encode_row(type, from, to, n);
}

std::int64_t stored_bytes(DType type, std::int64_t n) {
  return static_cast<std::int64_t>(formats::row_bytes(type, n));
}

}  // namespace medlar::kernels
