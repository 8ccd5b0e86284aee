// Rows of one tensor from one type to another, by all threads, with every value looked at.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/team.h"
#include "checkpoint/gguf.h"
#include "quant/encode.h"

namespace medlar::quant {

class RowCoder {
 public:
  // `means`: (matrices, columns) of the importance matrix; empty: none. References are kept.
  RowCoder(const gguf::Tensor& tensor, DType type, std::span<const float> means, bool thorough);

  std::int64_t rows() const { return tensor_.view.shape.rows(); }
  std::int64_t row_bytes() const { return row_bytes_; }
  // Rows that make about so many bytes; at least one.
  std::int64_t rows_in(std::int64_t bytes) const;

  // Rows from `first` on, as many as `to` holds. Throws Error(bad_file or unsupported) naming the first
  // element, of these rows, that is no finite number or beyond what the type can hold. `file` is for errors.
  void code(std::int64_t first, std::span<std::byte> to, Team& team, std::string_view file) const;

 private:
  void code_row(std::int64_t row, std::byte* to, std::vector<float>& values) const;
  std::optional<std::int64_t> first_bad(std::span<const float> values) const;
  [[noreturn]] void reject(std::int64_t row, std::string_view file) const;

  const gguf::Tensor& tensor_;
  DType type_;
  std::span<const float> means_;
  bool thorough_;
  std::int64_t row_bytes_, source_bytes_, rows_of_matrix_;
  float limit_;  // of magnitudes
};

}  // namespace medlar::quant
