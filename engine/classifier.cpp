#include "engine/classifier.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/error.h"

namespace medlar {
namespace {

void softmax(std::vector<float>& x) {
  const float most = *std::ranges::max_element(x);
  float sum = 0;
  for (float& value : x) sum += value = std::exp(value - most);
  for (float& value : x) value /= sum;
}

}  // namespace

std::optional<Classifier> Classifier::find(const gguf::File& file, std::int64_t dim) {
  if (file.find_tensor("cls.norm.weight"))
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: tensor cls.norm.weight is not known here", file.name()),
                "use a reranker whose only heads are cls.weight and cls.output.weight");
  Classifier result;
  result.output_ = DenseLayer::find(file, "cls.output", dim);
  if (result.output_.weight.empty()) return std::nullopt;
  result.pooler_ = DenseLayer::find(file, "cls", dim);
  if (!result.pooler_.weight.empty() && result.pooler_.rows(dim) != dim)
    fail(ErrorKind::bad_file, "{}: tensor cls.weight has {} rows, and cls.output.weight has {} columns",
         file.name(), result.pooler_.rows(dim), dim);
  const std::int64_t classes = result.output_.rows(dim);
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
  std::vector<float> pooled(hidden.begin(), hidden.end());
  if (!pooler_.weight.empty()) {
    pooled = pooler_(hidden);
    for (float& value : pooled) value = std::tanh(value);
  }
  std::vector<float> scores = output_(pooled);
  if (scores.size() > 1) softmax(scores);
  return scores;
}

}  // namespace medlar
