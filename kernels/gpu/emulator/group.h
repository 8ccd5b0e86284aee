// What a GPU thread sees of the emulator while it runs: where it is in the grid, barriers, exchange within
// its simdgroup, and threadgroup memory. The prelude's emulator branch and the stand-in for Metal's standard
// library are written with these.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medlar::emulator {

inline constexpr std::uint32_t kSimdWidth = 32;

struct Extent {
  std::uint32_t x = 1, y = 1, z = 1;
};

struct ThreadPosition {
  Extent group;                 // of the threadgroup in the grid
  std::uint32_t index = 0;      // in the threadgroup
  std::uint32_t lane = 0;       // in the simdgroup
  std::uint32_t simdgroup = 0;  // in the threadgroup
};

// Which element of a 16x16 tile element e of a lane's fragment is. Kernels that take one device's map for
// granted fail under another.
struct FragmentMap {
  std::uint8_t row[kSimdWidth][8];
  std::uint8_t column[kSimdWidth][8];
};

// Of the running thread. Constant while it runs, so kernels may keep the reference.
const ThreadPosition& position();
const FragmentMap& fragment_map();

// Waits for every thread of the group. All must come to the same `line`, or the launch fails.
void barrier(int line);

// What earlier dispatches wrote can be read, and what they read overwritten (Launch::previous).
void wait_previous();

// A copy that runs by itself: `to` is NaN until copies with this key have been waited for.
void copy_later(const void* key, void* to, const void* from, std::size_t bytes);
// All lanes of a simdgroup wait for them.
void wait_copies(const void* key, int line);

// What the lanes of a simdgroup do together.
enum class Collective : std::uint8_t {
  fence,
  shuffle,
  broadcast,
  sum,
  max,
  any,
  matrix_load,
  matrix_rows,
  matrix_multiply,
  copies
};

// Called once, by the last lane to arrive, with every lane's argument.
using Exchange = void (*)(const void* const* in, void* const* out, std::uint64_t argument);

struct Meeting {
  Collective what = Collective::fence;
  int line = 0;
  Exchange exchange = nullptr;  // null: nothing but the meeting itself
  std::uint64_t argument = 0;   // the first arriving lane's
};

// Waits for every lane of the simdgroup, which must all come to the same meeting, or the launch fails.
void meet(const Meeting& meeting, const void* in = nullptr, void* out = nullptr);

// What the lanes exchange: `argument` is the mask of a shuffle (by exclusive or) or the source lane of a
// broadcast. Sums add in butterfly order, as the CUDA branch does.
float exchange(Collective what, int line, float value, std::uint32_t argument = 0);

// C += A B over 16x16 tiles, of which each lane holds 8 elements according to the fragment map.
void multiply_tiles(int line, const float* a, const float* b, float* c);

// Eight neighbouring f16 of rows lane / 4 and lane / 4 + 8, from column 8 (lane % 4) on, in four words each.
struct LaneRows {
  const std::uint32_t* near;
  const std::uint32_t* far;
  bool transposed;
};
// The 16 x 32 matrix of which each lane brings its part, as two operands of 16 columns, or of 16 rows.
void exchange_rows(int line, const LaneRows& rows, float* first, float* second);

// v[e] of each lane becomes the sum, or the greatest, of those in its row of the fragment map.
void reduce_rows(Collective what, int line, float* v);

// Threadgroup memory: the same address for every thread of the group that passes the same id; 16-byte
// aligned. It starts as NaN. Writing past `bytes` fails the launch.
void* threadgroup_array(int id, std::size_t bytes);

}  // namespace medlar::emulator
