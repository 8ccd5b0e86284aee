// What every backend offers: a graph is lowered to a Program, and a Program runs steps.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "kernels/step.h"

namespace medlar::runtime {

struct ProgramOptions {
  int max_tokens = 512;    // T of the largest step
  int max_logit_rows = 1;  // R of the largest step
  int max_sequences = 1;   // rows of the page tables
  DType k_type = DType::q8_0;
  DType v_type = DType::q8_0;
  // Pages of KV cache for each group of layers that share a window.
  std::array<std::int32_t, kernels::kMaxKvGroups> kv_pages{};
  bool fuse = true;
  bool exact = false;  // keep activations f32 in products instead of quantizing them
  // A token's results do not depend, to the bit, on what else is in its steps, nor on how its text was cut
  // into steps. Slower: no matrix unit, and one row costs what several do.
  bool batch_invariant = false;
  // The result is for the program that follows this one: run() does not wait for it, logits() does.
  bool handed_on = false;
  // Where a device keeps kernels that it has compiled; empty: nowhere.
  std::filesystem::path kernel_cache;
  bool best = false;   // find the best of each row of logits on the device, where it can (Program::best)
  bool guard = false;  // tests: bytes around every buffer that must not change (Program::check_guards)
};

// The memory in which a device keeps a program: its weights, cache and activations.
struct DeviceMemory {
  bool apart = false;          // its own; else the machine's
  int number = 0;              // of the device among those with memory of their own
  std::int64_t available = 0;  // bytes of it that a program may take now; 0: as many as the machine has
};

// What a device does at most.
struct DeviceLimits {
  double read = 0;      // bytes a second of its memory
  double products = 0;  // multiplications and additions a second of 16-bit tiles in its matrix units
};

// Bytes that running a graph takes, known before anything is loaded.
struct MemoryPlan {
  std::int64_t weights = 0;      // clean pages of the mapped file
  std::int64_t kv = 0;           // at most; pages are touched as they are used
  std::int64_t state = 0;        // the same, of recurrent layers
  std::int64_t activations = 0;  // the arena, tables included
  std::int64_t scratch = 0;      // all threads, in the machine's memory

  std::int64_t cache() const { return kv + state; }
  std::int64_t on_device() const { return weights + cache() + activations; }
  bool fits(const DeviceMemory& memory) const {
    return memory.available == 0 || on_device() <= memory.available;
  }
};

// One kernel call of a program.
struct CallInfo {
  std::string_view kernel;        // the entry's name
  std::string weights;            // the tensors it reads, with commas between; empty: none
  std::int64_t weight_bytes = 0;  // of them, in one step; of an embedding none, as it reads few rows; of
                                  // experts those that one row uses
  std::string device = {};        // that runs it, where several run the program; else empty
};

// Told after each step when each call had ended, since the step's start; as many as calls(), in their order.
using StepObserver = std::function<void(const kernels::Step&, std::span<const std::chrono::nanoseconds>)>;

// A row that a step multiplies with matrices of weights, before it is quantized.
struct ProductRow {
  std::string_view weights;  // the tensors of the matrices, as in CallInfo
  std::int64_t expert = 0;   // which matrix of each tensor
  std::span<const float> x;
};

// Told of each row before its products run. Must not throw.
using ProductObserver = std::function<void(const ProductRow&)>;

struct TokenLogit {
  std::int32_t token = 0;
  float logit = 0;
};

// A graph lowered for one device. One thread at a time.
// Whether all values that a layer's attention takes from rows of keys are whole blocks of the keys' type.
// Throws Error(unsupported) saying so.
void check_values_in_keys(const ir::Graph& graph, DType k_type);

class Program {
 public:
  virtual ~Program() = default;
  // Runs the batch and waits for it. Pointers in `step` must stay valid during the call.
  virtual void run(const kernels::Step& step) = 0;
  // Of the last step, f32, on the host, until the next one or rest(): (R, vocab), of a part of a model (T,
  // width); and (vocab) of one row.
  virtual std::span<const float> logits() const = 0;
  virtual std::span<const float> logits(std::int32_t row) const = 0;
  // The best of the row, in the order of tokens; of equal logits lower tokens are better, and what is not a
  // number or -infinity is never among them. Empty: only logits() tells.
  virtual std::span<const TokenLogit> best(std::int32_t row) const { return {}; }
  // What the graph has as ir::Received are the rows that `before` made in the same step; it outlives this.
  virtual void follow(const Program& before) = 0;
  // The programs that this one runs one after the other, each on its own device.
  virtual std::vector<const Program*> parts() const { return {this}; }
  virtual const MemoryPlan& memory() const = 0;
  // Copies the keys and values of a page of the cache to another of its group, in every layer.
  virtual void copy_page(int group, std::int32_t from, std::int32_t to) = 0;
  // The bytes of a page in every layer of its group, page_bytes(group) of them, out of the cache and into it.
  virtual std::size_t page_bytes(int group) const = 0;
  virtual void read_page(int group, std::int32_t page, std::span<std::byte> to) const = 0;
  virtual void write_page(int group, std::int32_t page, std::span<const std::byte> from) = 0;
  // Gives the memory of pages nobody uses back to the system.
  virtual void release_pages(int group, std::span<const std::int32_t> pages) = 0;
  // Nothing will run soon: gives back what the next step takes again, in speed or content. Any thread.
  virtual void rest() {}
  // What each step runs, in order.
  virtual std::vector<CallInfo> calls() const = 0;
  // Null: nobody watches, and nothing is timed. Throws Error(unsupported) where a device cannot tell.
  virtual void observe(StepObserver observer) = 0;
  // Null: nobody watches. Throws Error(unsupported) where rows are not kept as f32: off the CPU, and without
  // ProgramOptions::exact.
  virtual void observe_products(ProductObserver observer);
  // Throws Error(device) naming the step when a guard byte changed (ProgramOptions::guard).
  virtual void check_guards() const = 0;
};

constexpr int kPromptTokens = 512;

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  virtual DeviceMemory memory() const { return {}; }
  // Tokens of a prompt that a step reads at about the device's full speed.
  virtual int prompt_tokens() const { return kPromptTokens; }
  // Of each device that programs are spread over, in the order of Program::parts(), measured now in a
  // fraction of a second; kernels are kept in `kernel_cache` (ProgramOptions). None: the device tells no
  // times, or has no memory left, or is the processor, whose limits depend on the threads that use it.
  virtual std::vector<std::optional<DeviceLimits>> measure_limits(const std::filesystem::path& kernel_cache) {
    return {std::nullopt};
  }
  // Throws Error(unsupported) naming the operation or type that has no kernel here.
  virtual std::unique_ptr<Program> lower(const ir::Graph& graph, const ProgramOptions& options) = 0;
  virtual MemoryPlan plan(const ir::Graph& graph, const ProgramOptions& options) = 0;
  // The same of each device that programs are spread over, in the order of Program::parts().
  virtual std::vector<DeviceMemory> memories() const { return {memory()}; }
  virtual std::vector<MemoryPlan> plans(const ir::Graph& graph, const ProgramOptions& options) {
    return {plan(graph, options)};
  }
};

}  // namespace medlar::runtime
