// What lanes exchange when they meet. Each exchange runs once, in the last lane that arrives.
#include <algorithm>
#include <utility>

#include "formats/portable.h"
#include "kernels/gpu/emulator/group.h"

namespace medlar::emulator {
namespace {

constexpr std::size_t kTile = 16, kElements = 8;

struct Lanes {
  float v[kSimdWidth];
};

Lanes gather(const void* const* in) {
  Lanes lanes;
  for (std::uint32_t i = 0; i < kSimdWidth; ++i) lanes.v[i] = *static_cast<const float*>(in[i]);
  return lanes;
}

void scatter(const Lanes& lanes, void* const* out) {
  for (std::uint32_t i = 0; i < kSimdWidth; ++i) *static_cast<float*>(out[i]) = lanes.v[i];
}

template <class Combine>
Lanes butterfly(Lanes lanes, Combine combine) {
  for (std::uint32_t mask = kSimdWidth / 2; mask; mask /= 2) {
    Lanes next;
    for (std::uint32_t i = 0; i < kSimdWidth; ++i) next.v[i] = combine(lanes.v[i], lanes.v[i ^ mask]);
    lanes = next;
  }
  return lanes;
}

void shuffle(const void* const* in, void* const* out, std::uint64_t mask) {
  const Lanes from = gather(in);
  Lanes to;
  for (std::uint32_t i = 0; i < kSimdWidth; ++i) to.v[i] = from.v[(i ^ mask) % kSimdWidth];
  scatter(to, out);
}

void broadcast(const void* const* in, void* const* out, std::uint64_t lane) {
  const float v = *static_cast<const float*>(in[lane % kSimdWidth]);
  for (std::uint32_t i = 0; i < kSimdWidth; ++i) *static_cast<float*>(out[i]) = v;
}

void sum(const void* const* in, void* const* out, std::uint64_t) {
  scatter(butterfly(gather(in), [](float a, float b) { return a + b; }), out);
}

void maximum(const void* const* in, void* const* out, std::uint64_t) {
  scatter(butterfly(gather(in), [](float a, float b) { return a > b || b != b ? a : b; }), out);
}

Exchange exchange_of(Collective what) {
  switch (what) {
    case Collective::shuffle:
      return shuffle;
    case Collective::broadcast:
      return broadcast;
    case Collective::sum:
      return sum;
    case Collective::max:
      return maximum;
    default:
      return nullptr;
  }
}

struct Operands {
  const float* a;
  const float* b;
};

using Tile = float[kTile][kTile];

void multiply(const void* const* in, void* const* out, std::uint64_t) {
  const FragmentMap& map = fragment_map();
  alignas(64) Tile a, b, c;
  for (std::uint32_t lane = 0; lane < kSimdWidth; ++lane) {
    const auto& operands = *static_cast<const Operands*>(in[lane]);
    const auto* sums = static_cast<const float*>(out[lane]);
    for (std::size_t e = 0; e < kElements; ++e) {
      const std::size_t row = map.row[lane][e], column = map.column[lane][e];
      a[row][column] = operands.a[e];
      b[row][column] = operands.b[e];
      c[row][column] = sums[e];
    }
  }
  for (std::size_t i = 0; i < kTile; ++i)
    for (std::size_t k = 0; k < kTile; ++k) {
      const float x = a[i][k];
      for (std::size_t j = 0; j < kTile; ++j) c[i][j] += x * b[k][j];
    }
  for (std::uint32_t lane = 0; lane < kSimdWidth; ++lane)
    for (std::size_t e = 0; e < kElements; ++e)
      static_cast<float*>(out[lane])[e] = c[map.row[lane][e]][map.column[lane][e]];
}

struct Pair {
  float* v[2];
};

void spread_rows(const void* const* in, void* const* out, std::uint64_t) {
  const FragmentMap& map = fragment_map();
  float rows[kTile][2 * kTile];
  for (std::uint32_t lane = 0; lane < kSimdWidth; ++lane) {
    const auto& mine = *static_cast<const LaneRows*>(in[lane]);
    for (std::size_t i = 0; i < 8; ++i) {
      const auto half = [&](const std::uint32_t* words) {
        return formats::f16_bits_to_f32(static_cast<std::uint16_t>(words[i / 2] >> i % 2 * 16));
      };
      rows[lane / 4][lane % 4 * 8 + i] = half(mine.near);
      rows[lane / 4 + 8][lane % 4 * 8 + i] = half(mine.far);
    }
  }
  for (std::uint32_t lane = 0; lane < kSimdWidth; ++lane)
    for (std::size_t j = 0; j < 2; ++j)
      for (std::size_t e = 0; e < kElements; ++e) {
        std::size_t row = map.row[lane][e], column = map.column[lane][e];
        if (static_cast<const LaneRows*>(in[lane])->transposed) std::swap(row, column);
        static_cast<Pair*>(out[lane])->v[j][e] = rows[row][j * kTile + column];
      }
}

// Rows in the order of their columns, whatever the map.
template <class Combine>
void by_rows(const void* const* in, void* const* out, Combine combine) {
  const FragmentMap& map = fragment_map();
  Tile tile;
  for (std::uint32_t lane = 0; lane < kSimdWidth; ++lane)
    for (std::size_t e = 0; e < kElements; ++e)
      tile[map.row[lane][e]][map.column[lane][e]] = static_cast<const float*>(in[lane])[e];
  float result[kTile];
  for (std::size_t row = 0; row < kTile; ++row) {
    result[row] = tile[row][0];
    for (std::size_t column = 1; column < kTile; ++column)
      result[row] = combine(result[row], tile[row][column]);
  }
  for (std::uint32_t lane = 0; lane < kSimdWidth; ++lane)
    for (std::size_t e = 0; e < kElements; ++e) static_cast<float*>(out[lane])[e] = result[map.row[lane][e]];
}

void row_sums(const void* const* in, void* const* out, std::uint64_t) {
  by_rows(in, out, [](float a, float b) { return a + b; });
}

void row_maxima(const void* const* in, void* const* out, std::uint64_t) {
  by_rows(in, out, [](float a, float b) { return a > b || b != b ? a : b; });
}

}  // namespace

float exchange(Collective what, int line, float value, std::uint32_t argument) {
  float result = 0;
  meet({what, line, exchange_of(what), argument}, &value, &result);
  return result;
}

void multiply_tiles(int line, const float* a, const float* b, float* c) {
  const Operands operands{a, b};
  meet({Collective::matrix_multiply, line, multiply, 0}, &operands, c);
}

void exchange_rows(int line, const LaneRows& rows, float* first, float* second) {
  Pair operands{{first, second}};
  meet({Collective::matrix_rows, line, spread_rows, 0}, &rows, &operands);
}

void reduce_rows(Collective what, int line, float* v) {
  float result[kElements];
  meet({what, line, what == Collective::max ? row_maxima : row_sums, 0}, v, result);
  std::copy_n(result, kElements, v);
}

}  // namespace medlar::emulator
