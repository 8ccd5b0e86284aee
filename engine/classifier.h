// Classifier: the head that makes scores of a hidden state, as rerankers have one in their model file.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/gguf.h"
#include "engine/dense_layers.h"

namespace medlar {

// scores = W h + b, and where there are several classes their probabilities (softmax). Before that, where the
// file has `cls.weight`, h = tanh(W h + b), the pooler of BERT.
class Classifier {
 public:
  // Of `cls.output.weight` (classes, dim), or nothing where the file has none. Throws Error(bad_file) for a
  // shape that does not fit, Error(unsupported) naming a tensor of a head that is not known here.
  static std::optional<Classifier> find(const gguf::File& file, std::int64_t dim);

  // (dim) -> (classes)
  std::vector<float> operator()(std::span<const float> hidden) const;
  std::span<const std::string> labels() const { return labels_; }  // one a class, or none

 private:
  DenseLayer pooler_, output_;  // (dim, dim) or empty, (classes, dim)
  std::vector<std::string> labels_;
};

}  // namespace medlar
