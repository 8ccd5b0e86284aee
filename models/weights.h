// Weight reflection: each tensor of a model is listed once; visitors bind, count or check them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "checkpoint/gguf.h"
#include "ir/graph.h"
#include "models/adapter.h"
#include "nn/blocks.h"
#include "nn/moe.h"

namespace medlar::models {

enum class Bias : std::uint8_t { none, required, optional };

// Binds a file's tensors to a graph. Throws Error(bad_file) naming a tensor that is missing or has another
// shape than the hyperparameters say, and Error(unsupported) for a norm or bias that is not f32.
class WeightBinder {
 public:
  WeightBinder(const gguf::File& file, ir::Graph& graph, float eps, std::span<const Adapter> adapters = {})
      : file_(file), graph_(graph), eps_(eps), adapters_(adapters, graph) {}

  // Tensors of the visits that follow are those of a layer: "blk.<layer>.<name>.weight".
  void begin_layer(std::size_t layer) { layer_ = layer, prefix_ = "blk." + std::to_string(layer) + "."; }
  std::size_t layer() const { return layer_; }

  void operator()(std::string_view name, nn::Embedding& e, std::int64_t vocab, std::int64_t dim);
  void operator()(std::string_view name, nn::Linear& l, std::int64_t out, std::int64_t in,
                  Bias bias = Bias::none);
  // One tensor whose rows are those of several products, in their order; so may be its bias.
  struct Part {
    nn::Linear& linear;
    std::int64_t out;
  };
  void operator()(std::string_view name, std::initializer_list<Part> parts, std::int64_t in);
  void operator()(std::string_view name, nn::RmsNorm& n, std::int64_t dim);
  void operator()(std::string_view name, nn::LayerNorm& n, std::int64_t dim, Bias bias = Bias::none);
  void operator()(std::string_view name, nn::LinearStack& l, std::int64_t count, std::int64_t out,
                  std::int64_t in, Bias bias = Bias::none);
  // The first row of a matrix of f32.
  void first_row(std::string_view name, ir::Value& row, std::int64_t dim);
  // f32 numbers of any shape, under their whole name behind the prefix.
  void operator()(std::string_view name, ir::Value& values, const Shape& shape);
  // Matrices of any type, one behind the other.
  void matrices(std::string_view name, ir::Value& stack, const Shape& shape);

  // An f32 tensor by its full name within the layer; the file may have other extents of 1.
  void f32(std::string_view name, ir::Value& weight, const Shape& shape) { f32(name, weight, shape, shape); }
  void f32(std::string_view name, ir::Value& weight, const Shape& in_file, const Shape& seen);

  // A tensor that is seen in another shape than the file gives it.
  void reshaped(std::string_view name, ir::Value& weight, const Shape& in_file, const Shape& seen) {
    const std::string full = prefix_ + std::string(name) + ".weight";
    const TensorView* found = file_.find_tensor(full);
    const bool is_row = found && found->shape.rank() == 2 && found->shape[0] == 1;  // of a vector
    const TensorView& t = tensor(full, is_row ? Shape{1, in_file.back()} : in_file);
    weight = graph_.weight(full, {t.type, seen, t.bytes});
  }

  float eps() const { return eps_; }
  bool has_bias(std::string_view name) const {
    return file_.find_tensor(prefix_ + std::string(name) + ".bias") != nullptr;
  }
  bool has(std::string_view name) const {
    return file_.find_tensor(prefix_ + std::string(name) + ".weight") != nullptr;
  }
  // As AdapterBinder does, after the last visit.
  void check_adapters() const { adapters_.check_all_bound(); }

  // An f32 tensor's values, or empty when the file has none of this name.
  std::span<const float> values(std::string_view name) const;

 private:
  // Throws Error(bad_file) where it is missing or has another shape.
  void refuse_scale(std::string_view weight) const;
  const TensorView& tensor(const std::string& name, const Shape& shape) const;
  ir::Value bind(const std::string& name, const Shape& shape);
  ir::Value part(const std::string& name, const Shape& in_file, std::int64_t at, const Shape& seen);
  ir::Value bind_f32(const std::string& name, const Shape& shape);

  const gguf::File& file_;
  ir::Graph& graph_;
  float eps_;
  AdapterBinder adapters_;
  std::size_t layer_ = 0;
  std::string prefix_;
};

}  // namespace medlar::models
