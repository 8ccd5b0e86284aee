// Threads take some rows in turn; a value that cannot be coded ends the work and is named afterwards.
#include "quant/row_coder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "base/checked.h"
#include "base/log.h"
#include "formats/all.h"

namespace medlar::quant {
namespace {

constexpr std::int64_t kTurn = 16384;  // values that a thread takes at once

// Factors of blocks are f16, and more than one code step is never needed beyond the largest of them.
float limit_of(DType type) {
  const bool wide = type == DType::f32 || type == DType::bf16 || type == DType::mxfp4;
  return wide ? std::numeric_limits<float>::max() : 65504.0F;
}

}  // namespace

RowCoder::RowCoder(const gguf::Tensor& tensor, DType type, std::span<const float> means, bool thorough)
    : tensor_(tensor),
      type_(type),
      means_(means),
      thorough_(thorough),
      row_bytes_(medlar::row_bytes(type, tensor.view.shape.back())),
      source_bytes_(medlar::row_bytes(tensor.view.type, tensor.view.shape.back())),
      rows_of_matrix_(tensor.view.shape.rank() > 1 ? tensor.view.shape[tensor.view.shape.rank() - 2] : 1),
      limit_(type == tensor.view.type ? std::numeric_limits<float>::max() : limit_of(type)) {}

std::int64_t RowCoder::rows_in(std::int64_t bytes) const {
  return std::clamp<std::int64_t>(bytes / row_bytes_, 1, rows());
}

void RowCoder::code(std::int64_t first, std::span<std::byte> to, Team& team, std::string_view file) const {
  const std::int64_t end = first + std::ssize(to) / row_bytes_;
  const std::int64_t turn = std::max<std::int64_t>(1, kTurn / tensor_.view.shape.back());
  std::atomic<std::int64_t> next = first, bad = end;
  std::vector<std::vector<float>> values(static_cast<std::size_t>(team.size()));
  for (auto& v : values) v.resize(static_cast<std::size_t>(tensor_.view.shape.back()));
  team.run([&](int member) {
    std::vector<float>& mine = values[static_cast<std::size_t>(member)];
    for (std::int64_t row = next.fetch_add(turn); row < end; row = next.fetch_add(turn)) {
      for (std::int64_t r = row; r < std::min(end, row + turn); ++r) {
        const std::byte* source = tensor_.view.bytes.data() + r * source_bytes_;
        decode_row(tensor_.view.type, source, mine.data(), std::ssize(mine));
        if (first_bad(mine)) {
          for (std::int64_t seen = bad; r < seen && !bad.compare_exchange_weak(seen, r);) {
          }
          return;
        }
        code_row(r, to.data() + (r - first) * row_bytes_, mine);
      }
    }
  });
  if (bad < end) reject(bad, file);
}

void RowCoder::code_row(std::int64_t row, std::byte* to, std::vector<float>& values) const {
  if (type_ == tensor_.view.type) {
    std::memcpy(to, tensor_.view.bytes.data() + row * source_bytes_, static_cast<std::size_t>(row_bytes_));
    return;
  }
  std::span<const float> columns;
  if (!means_.empty())
    columns = means_.subspan(static_cast<std::size_t>(row / rows_of_matrix_) * values.size(), values.size());
  encode_row(type_, values, to, {.columns = columns, .thorough = thorough_});
}

std::optional<std::int64_t> RowCoder::first_bad(std::span<const float> values) const {
  // A sum of what exceeds the limit, for loops to become vectors; NaN exceeds it, too.
  int beyond = 0;
  for (const float v : values) beyond += !(std::abs(v) <= limit_);
  if (beyond == 0) return std::nullopt;
  return std::ranges::find_if(values, [&](float v) { return !(std::abs(v) <= limit_); }) - values.begin();
}

void RowCoder::reject(std::int64_t row, std::string_view file) const {
  std::vector<float> values(static_cast<std::size_t>(tensor_.view.shape.back()));
  decode_row(tensor_.view.type, tensor_.view.bytes.data() + row * source_bytes_, values.data(),
             std::ssize(values));
  // A file that changes while it is read may be whole again.
  const std::int64_t column = first_bad(values).value_or(0);
  const float v = values[static_cast<std::size_t>(column)];
  const std::string where =
      fmt::format("{}: tensor {}: element {} of row {} is {}", file, printable(tensor_.name), column, row, v);
  if (std::isfinite(v))
    throw Error(ErrorKind::unsupported,
                fmt::format("{}, which is more than {} can hold", where, format_info(type_).name),
                fmt::format("keep it wider: --tensor '{}=bf16'", printable(tensor_.name)));
  throw Error(ErrorKind::bad_file, where, "the file is damaged, or was converted badly; get it again");
}

}  // namespace medlar::quant
