// A graph's weights as the device sees them: few large buffers over the file's mapping, bound by offset.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ir/graph.h"
#include "runtime/gpu/device.h"

namespace medlar::runtime::gpu {

struct Import {
  std::span<const std::byte> bytes;
  std::unique_ptr<Buffer> buffer;
};

// What programs of one device hold of mapped files, so that none of it is there twice.
class Imports {
 public:
  // The one that covers these bytes, made now if nobody holds one.
  std::shared_ptr<const Import> get(Device& device, std::span<const std::byte> bytes);
  std::int64_t bytes() const;

 private:
  std::vector<std::weak_ptr<const Import>> held_;
};

class Weights {
 public:
  // The graph's tensors must stay mapped. Tables of constants are copied.
  Weights(Device& device, Imports& imports, const ir::Graph& graph);

  Binding weight(int index) const;  // into Graph::weights()
  Binding table(int index) const;   // into Graph::tables()

 private:
  void import(Device& device, Imports& imports);

  std::vector<std::span<const std::byte>> weights_;
  std::vector<std::shared_ptr<const Import>> imports_;  // by address
  std::vector<std::uint64_t> table_offsets_;
  std::unique_ptr<Buffer> tables_;
};

}  // namespace medlar::runtime::gpu
