#include "engine/classifier.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "formats/all.h"

namespace medlar {
namespace {

constexpr std::int64_t kMostClasses = 4096;

std::vector<float> decoded(const TensorView& tensor) {
  const std::int64_t width = tensor.shape.back(), rows = tensor.shape.rows();
  const std::int64_t bytes = row_bytes(tensor.type, width);
  std::vector<float> values(static_cast<std::size_t>(rows * width));
  for (std::int64_t r = 0; r < rows; ++r)
    decode_row(tensor.type, tensor.bytes.data() + r * bytes, values.data() + r * width, width);
  return values;
}

void softmax(std::vector<float>& x) {
  const float most = *std::ranges::max_element(x);
  float sum = 0;
  for (float& value : x) sum += value = std::exp(value - most);
  for (float& value : x) value /= sum;
}

}  // namespace

std::optional<Classifier> Classifier::find(const gguf::File& file, std::int64_t dim) {
  for (const char* other : {"cls.weight", "cls.norm.weight"}) {
    if (file.find_tensor(other))
      throw Error(ErrorKind::unsupported, fmt::format("{}: tensor {} is not known here", file.name(), other),
                  "use a reranker whose only head is cls.output.weight");
  }
  const TensorView* weight = file.find_tensor("cls.output.weight");
  if (!weight) return std::nullopt;
  const Shape& shape = weight->shape;
  const std::int64_t classes = shape.rank() == 1 ? 1 : shape[0];
  if (shape.rank() > 2 || shape.back() != dim || classes < 1 || classes > kMostClasses)
    fail(ErrorKind::bad_file, "{}: tensor cls.output.weight is no matrix of classes and {} values",
         file.name(), dim);
  Classifier result;
  result.weight_ = decoded(*weight);
  if (const TensorView* bias = file.find_tensor("cls.output.bias")) {
    if (bias->shape.elements() != classes)
      fail(ErrorKind::bad_file, "{}: tensor cls.output.bias has {} values for {} classes", file.name(),
           bias->shape.elements(), classes);
    result.bias_ = decoded(*bias);
  }
  const std::string key =
      fmt::format("{}.classifier.output_labels", file.metadata().get<std::string>("general.architecture"));
  if (const auto labels = file.metadata().find<std::vector<std::string_view>>(key)) {
    if (std::ssize(*labels) != classes)
      fail(ErrorKind::bad_file, "{}: key {} has {} labels for {} classes", file.name(), key, labels->size(),
           classes);
    result.labels_.assign(labels->begin(), labels->end());
  }
  return result;
}

std::vector<float> Classifier::operator()(std::span<const float> hidden) const {
  std::vector<float> scores(weight_.size() / hidden.size());
  for (std::size_t c = 0; c < scores.size(); ++c) {
    double sum = bias_.empty() ? 0 : static_cast<double>(bias_[c]);
    const std::span row = std::span(weight_).subspan(c * hidden.size(), hidden.size());
    for (std::size_t i = 0; i < row.size(); ++i)
      sum += static_cast<double>(row[i]) * static_cast<double>(hidden[i]);
    scores[c] = static_cast<float>(sum);
  }
  if (scores.size() > 1) softmax(scores);
  return scores;
}

}  // namespace medlar
