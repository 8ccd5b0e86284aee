// Lowering for the CPU: groups of the graph become kernel calls with resolved pointers.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/page_memory.h"
#include "ir/arena.h"
#include "ir/fuse.h"
#include "kernels/cpu/table.h"
#include "runtime/backend.h"

namespace medlar::runtime::cpu {

using kernels::KernelEntry;

using StepArgs =
    std::variant<kernels::EmbedArgs, kernels::GatherRowsArgs, kernels::RmsNormArgs, kernels::LayerNormArgs,
                 kernels::TemperatureArgs, kernels::BinaryArgs, kernels::UnaryArgs, kernels::GluArgs,
                 kernels::PrepareArgs, kernels::LinearArgs, kernels::RouteArgs, kernels::ExpertGluArgs,
                 kernels::ExpertSumArgs, kernels::HeadLinearArgs, kernels::ConcatArgs, kernels::RopeArgs,
                 kernels::KvWriteArgs, kernels::AttendPrepareArgs, kernels::AttentionArgs,
                 kernels::ShortConvArgs, kernels::ScanArgs, kernels::SliceArgs>;

// One call of a kernel by the whole team.
struct StepCall {
  const KernelEntry* entry = nullptr;
  StepArgs args;
  // In a step with one of these rows each thread reads only what it made itself, so nobody waits after it.
  std::optional<kernels::RowCount> own_at_one = {};
  std::string weights;  // as in CallInfo
  std::int64_t weight_bytes = 0;

  const void* arguments() const {
    return std::visit([](const auto& a) -> const void* { return &a; }, args);
  }
};

// Where the arena's buffers are. The first lowering runs without memory and records lifetimes; the second,
// after place(), gets real pointers from the very same calls.
class ArenaBuilder {
 public:
  explicit ArenaBuilder(std::size_t guard_bytes) : guard_bytes_(guard_bytes) {}

  // Buffer `id` (made on first sight) is used in step `step`.
  std::byte* touch(int id, std::size_t bytes, int step);
  // Keeps a buffer to the end: the program's output.
  void keep(int id) { buffers_[static_cast<std::size_t>(id)].last = kForever; }
  std::size_t place();  // returns the arena's size
  void set_base(std::byte* base) { base_ = base; }
  // The guard bytes behind each buffer, for checking; only with guard_bytes.
  std::vector<std::span<std::byte>> guards() const;

 private:
  static constexpr int kForever = 1 << 30;
  std::size_t guard_bytes_;
  std::vector<ir::Lifetime> buffers_;
  ir::ArenaLayout layout_;
  std::byte* base_ = nullptr;
};

// Where each layer's keys and values are, relative to the KV region.
struct KvLayout {
  struct Part {
    std::size_t offset = 0;
    kernels::KvPages pages;  // base is null
  };
  std::vector<Part> k, v;  // by layer
  std::size_t bytes = 0;
};
// Throws Error(unsupported) when a head is not a whole number of the KV type's blocks.
KvLayout layout_kv(const ir::Graph& graph, const ProgramOptions& options);

// Turns groups into calls. Holds references: use and drop.
class Lowering {
 public:
  Lowering(const ir::Graph& graph, const ProgramOptions& options, const kernels::CpuTable& table,
           int threads);

  // Emits every call. Run once to measure (kv_base null), place the arena, run again for real pointers.
  std::vector<StepCall> emit(ArenaBuilder& arena, const KvLayout& kv, std::byte* kv_base);
  // The logits' buffer of the last emit.
  const float* output() const { return output_; }
  // Where it reads its ir::Received; null: it has none.
  float* input() const { return input_; }

 private:
  friend struct Emitter;
  void find_only_readers();

  const ir::Graph& graph_;
  const ProgramOptions& options_;
  const kernels::CpuTable& table_;
  int threads_;
  std::vector<ir::Group> groups_;
  std::vector<int> storage_;  // buffer of each value: its own, or that of the value it shares with
  std::vector<const ir::LinearGroup*> only_reader_;  // of each value, where that is all that reads it
  const float* output_ = nullptr;
  float* input_ = nullptr;
};

}  // namespace medlar::runtime::cpu
