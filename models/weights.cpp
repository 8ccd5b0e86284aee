#include "models/weights.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "formats/all.h"

namespace medlar::models {

const TensorView& WeightBinder::tensor(const std::string& name, const Shape& shape) const {
  const TensorView* tensor = file_.find_tensor(name);
  if (!tensor) fail(ErrorKind::bad_file, "{}: tensor {} is missing", file_.name(), name);
  if (tensor->shape != shape)
    fail(ErrorKind::bad_file, "{}: tensor {} is ({}), but the hyperparameters say ({})", file_.name(), name,
         fmt::join(tensor->shape.dims(), ", "), fmt::join(shape.dims(), ", "));
  if (tensor->type == DType::nvfp4) refuse_scale(name);
  return *tensor;
}

// NVFP4's blocks cannot hold every magnitude, so some files have a factor for a whole matrix beside it.
void WeightBinder::refuse_scale(std::string_view weight) const {
  constexpr std::string_view kWeight = ".weight";
  if (!weight.ends_with(kWeight)) return;
  const std::string scale = fmt::format("{}.scale", weight.substr(0, weight.size() - kWeight.size()));
  if (file_.find_tensor(scale))
    throw Error(
        ErrorKind::unsupported,
        fmt::format("{}: tensor {} multiplies {}, which is not supported", file_.name(), scale, weight),
        "use a file of another quantization");
}

ir::Value WeightBinder::bind(const std::string& name, const Shape& shape) {
  return graph_.weight(name, tensor(name, shape));
}

ir::Value WeightBinder::bind_f32(const std::string& name, const Shape& shape) {
  const ir::Value v = bind(name, shape);
  if (graph_[v].type.dtype != DType::f32)
    fail(ErrorKind::unsupported, "{}: tensor {} is {}; norms and biases must be f32", file_.name(), name,
         format_info(graph_[v].type.dtype).name);
  return v;
}

void WeightBinder::operator()(std::string_view name, nn::Embedding& e, std::int64_t vocab, std::int64_t dim) {
  e.table = bind(fmt::format("{}{}.weight", prefix_, name), {vocab, dim});
}

void WeightBinder::operator()(std::string_view name, nn::Linear& l, std::int64_t out, std::int64_t in,
                              Bias bias) {
  l.weight = bind(fmt::format("{}{}.weight", prefix_, name), {out, in});
  adapters_.bind(fmt::format("{}{}.weight", prefix_, name), l, {.out = out, .all = out, .in = in});
  const std::string bias_name = fmt::format("{}{}.bias", prefix_, name);
  if (bias == Bias::required || (bias == Bias::optional && file_.find_tensor(bias_name)))
    l.bias = bind_f32(bias_name, {out});
}

void WeightBinder::operator()(std::string_view name, std::initializer_list<Part> parts, std::int64_t in) {
  const std::string full = fmt::format("{}{}.weight", prefix_, name);
  const std::string bias_name = fmt::format("{}{}.bias", prefix_, name);
  std::int64_t out = 0;
  for (const Part& p : parts) out += p.out;
  const TensorView& all = tensor(full, {out, in});
  const auto bytes_of = [&](std::int64_t rows) {
    return static_cast<std::size_t>(rows * row_bytes(all.type, in));
  };
  std::int64_t at = 0;
  for (const Part& p : parts) {
    TensorView rows{all.type, {p.out, in}, {}};
    if (!all.bytes.empty())
      rows.bytes = all.bytes.subspan(bytes_of(at), bytes_of(p.out));  // else only planned
    p.linear.weight = graph_.weight(fmt::format("{}[{}:{}]", full, at, at + p.out), rows);
    adapters_.bind(full, p.linear, {.first = at, .out = p.out, .all = out, .in = in});
    if (file_.find_tensor(bias_name)) p.linear.bias = part(bias_name, {out}, at, {p.out});
    at += p.out;
  }
}

// `seen` numbers of an f32 tensor, from number `at` on.
ir::Value WeightBinder::part(const std::string& name, const Shape& in_file, std::int64_t at,
                             const Shape& seen) {
  const TensorView& all = tensor(name, in_file);
  if (all.type != DType::f32)
    fail(ErrorKind::unsupported, "{}: tensor {} is {}; norms and biases must be f32", file_.name(), name,
         format_info(all.type).name);
  TensorView some{all.type, seen, {}};
  constexpr std::size_t kSize = sizeof(float);
  if (!all.bytes.empty())  // else only planned
    some.bytes = all.bytes.subspan(static_cast<std::size_t>(at) * kSize,
                                   static_cast<std::size_t>(seen.elements()) * kSize);
  return graph_.weight(fmt::format("{}[{}:{}]", name, at, at + seen.elements()), some);
}

void WeightBinder::first_row(std::string_view name, ir::Value& row, std::int64_t dim) {
  const std::string full = fmt::format("{}{}.weight", prefix_, name);
  const TensorView* all = file_.find_tensor(full);
  row = part(full, {all ? all->shape[0] : 1, dim}, 0, {dim});
}

void WeightBinder::operator()(std::string_view name, nn::RmsNorm& n, std::int64_t dim) {
  n = {bind_f32(fmt::format("{}{}.weight", prefix_, name), {dim}), eps_};
}

void WeightBinder::operator()(std::string_view name, nn::LayerNorm& n, std::int64_t dim, Bias bias) {
  n = {bind_f32(fmt::format("{}{}.weight", prefix_, name), {dim}), {}, eps_};
  const std::string bias_name = fmt::format("{}{}.bias", prefix_, name);
  if (bias == Bias::required || (bias == Bias::optional && file_.find_tensor(bias_name)))
    n.bias = bind_f32(bias_name, {dim});
}

void WeightBinder::operator()(std::string_view name, nn::LinearStack& l, std::int64_t count, std::int64_t out,
                              std::int64_t in, Bias bias) {
  l.weight = bind(fmt::format("{}{}.weight", prefix_, name), {count, out, in});
  if (bias == Bias::required) (*this)(fmt::format("{}.bias", name), l.bias, {count, out});
}

void WeightBinder::matrices(std::string_view name, ir::Value& stack, const Shape& shape) {
  stack = bind(fmt::format("{}{}.weight", prefix_, name), shape);
}

void WeightBinder::operator()(std::string_view name, ir::Value& values, const Shape& shape) {
  values = bind_f32(prefix_ + std::string(name), shape);
}

void WeightBinder::f32(std::string_view name, ir::Value& weight, const Shape& in_file, const Shape& seen) {
  const std::string full = prefix_ + std::string(name);
  const TensorView* found = file_.find_tensor(full);
  const auto without_ones = [](const Shape& s) {
    std::vector<std::int64_t> dims(s.dims().begin(), s.dims().end());
    std::erase(dims, 1);
    return dims;
  };
  const bool alike = found && without_ones(found->shape) == without_ones(in_file);
  const TensorView& t = tensor(full, alike ? found->shape : in_file);
  if (t.type != DType::f32)
    fail(ErrorKind::unsupported, "{}: tensor {} is {}; it must be f32", file_.name(), full,
         format_info(t.type).name);
  weight = graph_.weight(full, {t.type, seen, t.bytes});
}

std::span<const float> WeightBinder::values(std::string_view name) const {
  const TensorView* tensor = file_.find_tensor(prefix_ + std::string(name) + ".weight");
  if (!tensor) return {};
  if (tensor->type != DType::f32)
    fail(ErrorKind::unsupported, "{}: tensor {}.weight must be f32", file_.name(), name);
  return {reinterpret_cast<const float*>(tensor->bytes.data()),
          static_cast<std::size_t>(tensor->shape.elements())};
}

}  // namespace medlar::models
