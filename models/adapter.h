// Low-rank adapters (Hu et al. 2021): which tensors of a model they change, and by how much.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint/gguf.h"
#include "ir/graph.h"
#include "nn/blocks.h"

namespace medlar::models {

// An open adapter: general.type is "adapter", adapter.type "lora"; of a tensor NAME of the model it has
// NAME.lora_a (rank, in) and NAME.lora_b (out, rank). The product counts adapter.lora.alpha / rank times
// `scale`.
struct Adapter {
  const gguf::File* file = nullptr;
  float scale = 1;
};

// Throws Error(bad_file) naming file and key when the file is no such adapter, and Error(unsupported) when
// it is for another architecture.
void check_adapter(const Adapter& adapter, std::string_view architecture);

// Adds to a model's products what its adapters have for them.
class AdapterBinder {
 public:
  AdapterBinder(std::span<const Adapter> adapters, ir::Graph& graph) : adapters_(adapters), graph_(graph) {}

  // Rows [first, first + out) of the tensor `name` are this product's. Throws Error(bad_file) naming the
  // adapter's tensor that has another shape than the model's.
  struct Rows {
    std::int64_t first = 0, out = 0, all = 0, in = 0;
  };
  void bind(const std::string& name, nn::Linear& linear, const Rows& rows);

  // Throws Error(unsupported) naming a tensor of an adapter that no product took.
  void check_all_bound() const;

 private:
  std::span<const Adapter> adapters_;
  ir::Graph& graph_;
  std::set<std::string, std::less<>> bound_;  // "NAME", of which some adapter's two tensors were taken
};

}  // namespace medlar::models
