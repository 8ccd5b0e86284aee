// Graph: a model's forward pass as values and operations, built once and then only read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/ops/all.h"
#include "ir/types.h"
#include "tensor/tensor.h"

namespace medlar::ir {

struct Node {
  Op op;
  std::vector<Value> inputs;
  ValueType type;
};

struct NamedTensor {
  std::string name;
  TensorView tensor;  // bytes may be empty in a graph that is only planned
};

// What a layer keeps of a sequence. Layers with the same window share a group, and so their pages.
struct KvLayer {
  std::int64_t heads = 0, k_dim = 0, v_dim = 0;
  std::int64_t window = 0;  // tokens a query can see, itself included; 0: all
  int group = 0;
  // Of a recurrent layer, whose window is kernels::kRecurrent, instead: f32 values of its short convolution's
  // last inputs, and of its scan's states.
  std::int64_t conv_state = 0, scan_state = 0;

  bool recurrent() const { return window == kernels::kRecurrent; }
  // The states are where others have keys and values.
  std::int64_t state(KvPart part) const { return part == KvPart::key ? conv_state : scan_state; }
};

class Graph {
 public:
  // Appends an operation; its type follows from the inputs' types. Throws Error(bad_file) when they do not
  // fit.
  Value add(Op op, std::vector<Value> inputs = {});
  Value weight(std::string name, TensorView tensor);
  Value table(std::vector<float> values);
  // Returns the layer's index. Throws Error(unsupported) past kMaxKvGroups different windows.
  int add_kv_layer(KvLayer layer);
  // The group of layers with this window, which may be in it later.
  int add_kv_group(std::int64_t window);
  void set_output(Value rows);  // (logit_rows, vocab), or what the next part of the model receives

  std::span<const Node> nodes() const { return nodes_; }
  const Node& operator[](Value v) const { return nodes_[static_cast<std::size_t>(v.id)]; }
  template <class OpType>
  const OpType* get_if(Value v) const {
    return v ? std::get_if<OpType>(&(*this)[v].op) : nullptr;
  }

  std::span<const NamedTensor> weights() const { return weights_; }
  std::span<const std::vector<float>> tables() const { return tables_; }
  std::span<const KvLayer> kv_layers() const { return kv_layers_; }               // recurrent ones, too
  std::span<const std::int64_t> group_windows() const { return group_windows_; }  // index: group
  Value output() const { return output_; }

  // Bytes of weights in the file that this graph reads.
  std::int64_t weight_bytes() const;
  // Every result is used or is the output; every input precedes its user. Throws Error(bad_file).
  void verify() const;

 private:
  std::vector<Node> nodes_;
  std::vector<NamedTensor> weights_;
  std::vector<std::vector<float>> tables_;
  std::vector<KvLayer> kv_layers_;
  std::vector<std::int64_t> group_windows_;
  Value output_;
};

// How often each value is read; the output counts as one more.
std::vector<int> use_counts(const Graph& graph);

std::string_view op_name(const Op& op);

// One line a value: "%12 = linear %11, %3 : (tokens, 576)". For people and for tests.
std::string to_string(const Graph& graph);

}  // namespace medlar::ir
