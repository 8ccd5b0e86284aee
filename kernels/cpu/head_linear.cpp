// Products of each head with a matrix of its own. Slices share the weight rows of all heads; the rows of one
// head are gathered from between the others.
#include "kernels/cpu/decode.h"
#include "kernels/cpu/dot.h"
#include "kernels/cpu/ops.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kGranule = 16;   // weight rows: a cache line of one output row
constexpr int64_t kRowChunk = 64;  // rows that share what was unpacked of the weights

}  // namespace

size_t head_linear_scratch(const void* args, int max_tokens) {
  const auto& a = *static_cast<const HeadLinearArgs*>(args);
  const int64_t rows = least(a.rows == RowCount::one ? 1 : max_tokens, kRowChunk);
  return static_cast<size_t>(rows) * act_bytes(ActKind::f32, a.k) + dot_f32_scratch();
}

void head_linear(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const HeadLinearArgs*>(args);
  const int64_t rows = resolve(a.rows, step), row_bytes = stored_bytes(a.type, a.k);
  const int64_t x_width = a.k + a.rest, y_width = a.n + a.rest;
  const size_t x_bytes = act_bytes(ActKind::f32, a.k);
  const int64_t granules = (a.n + kGranule - 1) / kGranule;
  const Range mine = share(a.heads * granules, 1, slice);
  for (int64_t at = mine.begin; at < mine.end;) {
    const int64_t head = at / granules, end = least(mine.end, (head + 1) * granules);
    const Range columns{at % granules * kGranule, least(a.n, (end - head * granules) * kGranule)};
    for (int64_t m = 0; m < rows; m += kRowChunk) {
      const int64_t count = least(kRowChunk, rows - m);
      std::byte* gathered = slice.scratch.data();
      const float* x = a.x + (m * a.heads + head) * x_width;
      float* y = a.y + (m * a.heads + head) * y_width;
      for (int64_t i = 0; i < count; ++i, gathered += x_bytes) {
        memset(gathered, 0, x_bytes);
        memcpy(gathered, x + i * a.heads * x_width, static_cast<size_t>(a.k) * sizeof(float));
        if (columns.begin == 0)
          memcpy(y + i * a.heads * y_width + a.n, x + i * a.heads * x_width + a.k,
                 static_cast<size_t>(a.rest) * sizeof(float));
      }
      a.dot({.weight = static_cast<const std::byte*>(a.weight) + (head * a.n + columns.begin) * row_bytes,
             .row_bytes = row_bytes,
             .n = columns.size(),
             .k = a.k,
             .x = slice.scratch.data(),
             .rows = count,
             .y = y + columns.begin,
             .ldy = a.heads * y_width,
             .scratch = slice.scratch.subspan(static_cast<size_t>(count) * x_bytes),
             .uniform = false});
    }
    at = end;
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
