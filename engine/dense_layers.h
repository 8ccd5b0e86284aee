// DenseLayers: matrices that a pooled vector goes through before it is an embedding, as EmbeddingGemma has
// them.
#pragma once

#include <span>
#include <vector>

#include "checkpoint/gguf.h"

namespace medlar {

// A matrix as plain numbers, row by row.
struct DenseLayer {
  std::vector<float> weight, bias;  // (out, in), (out) or empty

  // "<name>.weight" of so many columns and, if there is one, "<name>.bias"; empty where the file has no such
  // tensor. Throws Error(bad_file) for shapes that do not fit.
  static DenseLayer find(const gguf::File& file, std::string_view name, std::int64_t columns);
  std::vector<float> operator()(std::span<const float> x) const;
  std::int64_t rows(std::int64_t columns) const { return std::ssize(weight) / columns; }
};

// y = dense_3 (dense_2 x), as far as the file has them.
class DenseLayers {
 public:
  // Throws Error(bad_file) where the last one does not give `dim` values.
  static DenseLayers find(const gguf::File& file, std::int64_t dim);
  std::vector<float> operator()(std::span<const float> pooled) const;

 private:
  std::vector<DenseLayer> layers_;
};

}  // namespace medlar
