// Direct products of the types that are unpacked a group at a time, into the first cache: what they have in
// common is what is unpacked, so one product for each number of values that share a scale serves them all.
#include "kernels/cpu/dot_direct.h"
#include "kernels/cpu/panel.h"
#include "kernels/cpu/unpacked.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

// How rows of weights are unpacked.
struct PackedRows {
  UnpackFn unpack;
  int64_t group_bytes, groups;
  int64_t last;  // values of the last group

  // Group g of a row that begins at p. What is behind the row's end is 0.
  MEDLAR_INLINE void group(const std::byte* p, int64_t g, UnpackedGroup& to) const {
    p += g * group_bytes;
    for (int64_t line = 0; line < group_bytes; line += 64) __builtin_prefetch(p + line + kPrefetchBytes);
    const int64_t n = g + 1 < groups ? kActGroup : last;
    if (n < kActGroup) memset(&to, 0, sizeof to);
    unpack(p, n, {to.codes, to.scale, to.offset});
  }
};

// The next group is unpacked before one is multiplied: what was just written can not yet be read back fast.
template <int kSub, int kRows>
MEDLAR_INLINE void multiply_row(const PackedRows& w, const std::byte* row, const ActRows<kRows>& x, float* y,
                                int64_t ldy) {
  Direct256<UnpackedWeights<kSub>, kRows, chains(kRows)> kernel;
  UnpackedGroup unpacked[2];
  w.group(row, 0, unpacked[0]);
  for (int64_t g = 0; g < w.groups; ++g) {
    if (g + 1 < w.groups) w.group(row, g + 1, unpacked[(g + 1) % 2]);
    const auto* block = reinterpret_cast<const std::byte*>(&unpacked[g % 2]);
    if (x.any_outlier(g)) {
      kernel.template whole<true>(x, block, g);
    } else {
      kernel.template whole<false>(x, block, g);
    }
  }
  for (int r = 0; r < kRows; ++r) y[r * ldy] = sum(kernel.total(r));
}

// Every weight row with kRows activation rows from row m on, from two halves in turn (direct_rows).
template <int kSub, int kRows>
void multiply_rows(const RowsDot& a, const PackedRows& w, int64_t m) {
  ActRows<kRows> x;
  for (int r = 0; r < kRows; ++r) x.row[r] = reinterpret_cast<const Q8Group*>(a.x) + (m + r) * w.groups;
  const int64_t second = (a.n + 1) / 2;
  for (int64_t i = 0; i < a.n; ++i) {
    const int64_t j = i / 2 + i % 2 * second;
    multiply_row<kSub>(w, a.weight + j * a.row_bytes, x, a.y + m * a.ldy + j, a.ldy);
  }
}

// kRows at a time, then what is left.
template <int kSub, int kRows>
void multiply(const RowsDot& a, const PackedRows& w, int64_t m) {
  for (; m + kRows <= a.rows; m += kRows) multiply_rows<kSub, kRows>(a, w, m);
  if constexpr (kRows > 1) {
    if (m < a.rows) multiply<kSub, kRows / 2>(a, w, m);
  }
}

}  // namespace

void dot_unpacked(DType type, const RowsDot& a) {
  const int64_t groups = (a.k + kActGroup - 1) / kActGroup;
  const PackedRows w{.unpack = unpack_for(type),
                     .group_bytes = a.row_bytes * kActGroup / a.k,
                     .groups = groups,
                     .last = a.k - (groups - 1) * kActGroup};
  if (values_per_scale(type) == 16) return multiply<16, 4>(a, w, 0);
  multiply<32, 4>(a, w, 0);
}

}  // namespace medlar::kernels::MEDLAR_ISA
