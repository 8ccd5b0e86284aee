#include "models/adapter.h"

#include <cmath>

#include <fmt/ranges.h>

#include "base/error.h"
#include "formats/all.h"

namespace medlar::models {
namespace {

constexpr std::string_view kA = ".lora_a", kB = ".lora_b";
constexpr std::int64_t kMaxRank = 1 << 14;

void expect_shape(const gguf::File& file, const std::string& name, const TensorView& tensor,
                  const Shape& shape) {
  if (tensor.shape == shape) return;
  throw Error(ErrorKind::bad_file,
              fmt::format("{}: tensor {} is ({}), but the model wants ({})", file.name(), name,
                          fmt::join(tensor.shape.dims(), ", "), fmt::join(shape.dims(), ", ")),
              "the adapter is for another model");
}

float alpha_of(const gguf::File& file) {
  constexpr std::string_view kAlpha = "adapter.lora.alpha";
  const auto alpha = file.metadata().get<float>(kAlpha);
  if (!std::isfinite(alpha)) fail(ErrorKind::bad_file, "{}: key {} is {}", file.name(), kAlpha, alpha);
  return alpha;
}

}  // namespace

void check_adapter(const Adapter& adapter, std::string_view architecture) {
  const gguf::File& file = *adapter.file;
  const auto expect = [&](std::string_view key, std::string_view wanted) {
    if (const auto found = file.metadata().get_or<std::string_view>(key, ""); found != wanted)
      fail(ErrorKind::bad_file, "{}: key {} is \"{}\", not \"{}\": no LoRA adapter", file.name(), key, found,
           wanted);
  };
  expect("general.type", "adapter");
  expect("adapter.type", "lora");
  const auto its = file.metadata().get<std::string_view>("general.architecture");
  if (its != architecture)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: adapts a {} model, but this one is {}", file.name(), its, architecture),
                "choose the model that it was trained for");
  alpha_of(file);
}

void AdapterBinder::bind(const std::string& name, nn::Linear& linear, const Rows& rows) {
  const std::string a_name = name + std::string(kA), b_name = name + std::string(kB);
  for (const Adapter& adapter : adapters_) {
    const gguf::File& file = *adapter.file;
    const TensorView* a = file.find_tensor(a_name);
    const TensorView* b = file.find_tensor(b_name);
    if (!a && !b) continue;
    if (!a || !b) fail(ErrorKind::bad_file, "{}: tensor {} is missing", file.name(), a ? b_name : a_name);
    const std::int64_t rank = a->shape.rank() == 2 ? a->shape[0] : 0;
    if (rank < 1 || rank > kMaxRank)
      fail(ErrorKind::bad_file, "{}: tensor {} has the rank {}", file.name(), a_name, rank);
    expect_shape(file, a_name, *a, {rank, rows.in});
    expect_shape(file, b_name, *b, {rows.all, rank});
    const auto row = static_cast<std::size_t>(row_bytes(b->type, rank));
    const TensorView up{b->type,
                        {rows.out, rank},
                        b->bytes.subspan(static_cast<std::size_t>(rows.first) * row,
                                         static_cast<std::size_t>(rows.out) * row)};
    const std::string part =
        rows.out == rows.all ? "" : fmt::format("[{}:{}]", rows.first, rows.first + rows.out);
    linear.adapters.push_back({.down = graph_.weight(a_name + part, *a),
                               .up = graph_.weight(b_name + part, up),
                               .scale = adapter.scale * alpha_of(file) / static_cast<float>(rank)});
    bound_.insert(name);
  }
}

void AdapterBinder::check_all_bound() const {
  for (const Adapter& adapter : adapters_)
    for (const gguf::Tensor& tensor : adapter.file->tensors()) {
      std::string_view base = tensor.name;
      if (base.ends_with(kA) || base.ends_with(kB)) base.remove_suffix(kA.size());
      if (base == tensor.name || !bound_.contains(base))
        throw Error(ErrorKind::unsupported,
                    fmt::format("{}: tensor {} adapts nothing of this model that can be adapted",
                                adapter.file->name(), tensor.name),
                    "products of attention and dense MLPs can be; the adapter may be for another model");
    }
}

}  // namespace medlar::models
