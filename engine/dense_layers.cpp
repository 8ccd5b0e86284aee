#include "engine/dense_layers.h"

#include <fmt/format.h>

#include "base/error.h"
#include "formats/all.h"

namespace medlar {
namespace {

constexpr std::int64_t kMostRows = 1 << 16;

std::vector<float> decoded(const TensorView& tensor) {
  const std::int64_t width = tensor.shape.back(), rows = tensor.shape.rows();
  const std::int64_t bytes = row_bytes(tensor.type, width);
  std::vector<float> values(static_cast<std::size_t>(rows * width));
  for (std::int64_t r = 0; r < rows; ++r)
    decode_row(tensor.type, tensor.bytes.data() + r * bytes, values.data() + r * width, width);
  return values;
}

}  // namespace

DenseLayer DenseLayer::find(const gguf::File& file, std::string_view name, std::int64_t columns) {
  const TensorView* weight = file.find_tensor(fmt::format("{}.weight", name));
  if (!weight) return {};
  const Shape& shape = weight->shape;
  const std::int64_t rows = shape.rank() == 1 ? 1 : shape[0];
  if (shape.rank() > 2 || shape.back() != columns || rows < 1 || rows > kMostRows)
    fail(ErrorKind::bad_file, "{}: tensor {}.weight is no matrix of at most {} rows of {} values",
         file.name(), name, kMostRows, columns);
  DenseLayer layer{.weight = decoded(*weight), .bias = {}};
  if (const TensorView* bias = file.find_tensor(fmt::format("{}.bias", name))) {
    if (bias->shape.elements() != rows)
      fail(ErrorKind::bad_file, "{}: tensor {}.bias has {} values for {} rows", file.name(), name,
           bias->shape.elements(), rows);
    layer.bias = decoded(*bias);
  }
  return layer;
}

std::vector<float> DenseLayer::operator()(std::span<const float> x) const {
  std::vector<float> y(weight.size() / x.size());
  for (std::size_t j = 0; j < y.size(); ++j) {
    double sum = bias.empty() ? 0 : static_cast<double>(bias[j]);
    const std::span row = std::span(weight).subspan(j * x.size(), x.size());
    for (std::size_t i = 0; i < row.size(); ++i)
      sum += static_cast<double>(row[i]) * static_cast<double>(x[i]);
    y[j] = static_cast<float>(sum);
  }
  return y;
}

DenseLayers DenseLayers::find(const gguf::File& file, std::int64_t dim) {
  DenseLayers result;
  std::int64_t width = dim;
  for (const char* name : {"dense_2", "dense_3"}) {
    DenseLayer layer = DenseLayer::find(file, name, width);
    if (layer.weight.empty()) continue;
    width = layer.rows(width);
    result.layers_.push_back(std::move(layer));
  }
  if (width != dim)
    fail(ErrorKind::bad_file, "{}: tensors dense_2 and dense_3 make {} values of {}", file.name(), width,
         dim);
  return result;
}

std::vector<float> DenseLayers::operator()(std::span<const float> pooled) const {
  std::vector<float> y(pooled.begin(), pooled.end());
  for (const DenseLayer& layer : layers_) y = layer(y);
  return y;
}

}  // namespace medlar
