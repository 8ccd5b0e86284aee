// A graph's weights as the device sees them: few large buffers over the file's mapping, bound by offset.
#pragma once

#include <memory>
#include <vector>

#include "ir/graph.h"
#include "runtime/gpu/device.h"

namespace medlar::runtime::gpu {

class Weights {
 public:
  // The graph's tensors must stay mapped. Tables of constants are copied.
  Weights(Device& device, const ir::Graph& graph);

  Binding weight(int index) const;  // into Graph::weights()
  Binding table(int index) const;   // into Graph::tables()

 private:
  struct Range {
    std::span<const std::byte> bytes;
    std::unique_ptr<Buffer> buffer;
  };
  void import(Device& device);

  std::vector<std::span<const std::byte>> weights_;
  std::vector<Range> ranges_;  // by address
  std::vector<std::uint64_t> table_offsets_;
  std::unique_ptr<Buffer> tables_;
};

}  // namespace medlar::runtime::gpu
