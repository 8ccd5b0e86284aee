#include "runtime/gpu/backend.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"
#include "runtime/gpu/limits.h"
#include "runtime/gpu/step_buffer.h"
#include "runtime/gpu/step_results.h"
#include "runtime/gpu/weights.h"

namespace medlar::runtime::gpu {
namespace {

constexpr std::size_t kGuardBytes = 64;
constexpr std::byte kGuard{0xA5};

StepShape shape_of(const kernels::Step& step) {
  StepShape s{step.tokens, step.logit_rows, 1, StepBuffer::runs(step)};
  for (std::int32_t t = 0; t < step.tokens; ++t) s.kv_tokens = std::max(s.kv_tokens, step.positions[t] + 1);
  return s;
}

// fn(plan) for steps of every size, with so many rows of logits, as many splits as there can be, and all or
// no tokens of one sequence.
template <class Fn>
void each_size(const Lowering& lowering, const ProgramOptions& options, int logit_rows, Fn fn) {
  constexpr int kLongest = 1 << 30;
  for (int tokens = 1;; tokens *= 2) {
    for (int runs : {1, tokens}) fn(lowering.plan(lowering.covering({tokens, logit_rows, kLongest, runs})));
    if (tokens >= options.max_tokens) return;
  }
}

// Bytes of the largest arena that steps of up to these options need.
std::size_t largest_arena(const Lowering& lowering, const ProgramOptions& options, std::size_t guard) {
  std::size_t bytes = 0;
  each_size(lowering, options, options.max_logit_rows,
            [&](const StepPlan& plan) { bytes = std::max(bytes, schedule(plan, guard).arena_bytes); });
  return bytes;
}

// Kernels of steps of all sizes; those that do not split need no others.
std::vector<const KernelInfo*> kernels_of(const Lowering& lowering, const ProgramOptions& options) {
  std::set<const KernelInfo*> found;
  const auto add = [&](const StepPlan& plan) {
    for (const PlannedDispatch& d : plan.dispatches) found.insert(d.kernel);
  };
  for (int rows = 1; rows < 2 * options.max_logit_rows; rows *= 2) each_size(lowering, options, rows, add);
  return {found.begin(), found.end()};
}

std::size_t kv_bytes(const std::vector<KvPart>& parts) {
  return parts.empty() ? 0 : parts.back().offset + parts.back().bytes;
}

MemoryPlan measure(const ir::Graph& graph, const ProgramOptions& options, const std::vector<KvPart>& parts,
                   std::size_t arena) {
  std::size_t state = 0;
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (graph.kv_layers()[i / 2].recurrent()) state += parts[i].bytes;
  auto fixed = static_cast<std::int64_t>(StepBuffer::bytes(options));
  for (const auto& t : graph.tables()) fixed += static_cast<std::int64_t>(t.size() * sizeof(float));
  return {.weights = graph.weight_bytes(),
          .kv = static_cast<std::int64_t>(kv_bytes(parts) - state),
          .state = static_cast<std::int64_t>(state),
          .activations = static_cast<std::int64_t>(arena) + fixed};
}

class GpuProgram final : public Program {
 public:
  GpuProgram(Device& device, Imports& imports, const ir::Graph& graph, const ProgramOptions& options,
             LowerOptions tuning)
      : device_(device),
        graph_(graph),
        options_(options),
        kv_parts_(layout_kv(graph, options)),
        lowering_(graph, options_, kv_parts_, tuning),
        kernels_(kernels_of(lowering_, options_)),
        weights_(device, imports, graph),
        step_(device, options),
        results_(graph[graph.output()].type.width()) {
    device.prepare(kernels_, options.kernel_cache);
    const std::size_t arena = largest_arena(lowering_, options_, guard());
    arena_ = device.allocate(std::max<std::size_t>(arena, 1));
    kv_ = device.allocate(std::max<std::size_t>(kv_bytes(kv_parts_), 1));
    memory_ = measure(graph, options, kv_parts_, arena);
  }

  void run(const kernels::Step& step) override {
    const std::lock_guard lock(running_);
    if (step_.send(step)) lists_.clear();
    List& list = list_for(shape_of(step));
    last_ = &list;
    rows_ = kernels::resolve(graph_[graph_.output()].type.rows, step);
    if (options_.guard) write_guards(list);
    if (before_) receive(list);
    if (observer_)
      run_timed(step, list);
    else
      device_.submit(*list.commands[0]);
    results_.begin(static_cast<std::int32_t>(rows_), list.output);
    if (options_.handed_on) return;
    if (options_.best)
      device_.read(*arena_, list.best, results_.best_bytes());
    else
      results_.read_all(device_, *arena_);
  }

  std::span<const float> logits() const override { return results_.read_all(device_, *arena_); }
  std::span<const float> logits(std::int32_t row) const override {
    return results_.read(device_, *arena_, row);
  }
  std::span<const TokenLogit> best(std::int32_t row) const override { return results_.best(row); }
  void follow(const Program& before) override {
    before_ = &before;
    peer_ = dynamic_cast<const GpuProgram*>(&before);
  }
  const MemoryPlan& memory() const override { return memory_; }

  void copy_page(int group, std::int32_t from, std::int32_t to) override {
    each_part(group, [&](std::size_t offset, std::size_t bytes) {
      std::vector<std::byte> page(bytes);
      device_.read(*kv_, offset + static_cast<std::size_t>(from) * bytes, page);
      device_.write(*kv_, offset + static_cast<std::size_t>(to) * bytes, page);
    });
  }

  std::size_t page_bytes(int group) const override {
    std::size_t total = 0;
    each_part(group, [&](std::size_t, std::size_t bytes) { total += bytes; });
    return total;
  }
  void read_page(int group, std::int32_t page, std::span<std::byte> to) const override {
    each_part(group, [&, at = std::size_t{0}](std::size_t offset, std::size_t bytes) mutable {
      device_.read(*kv_, offset + static_cast<std::size_t>(page) * bytes, to.subspan(at, bytes));
      at += bytes;
    });
  }
  void write_page(int group, std::int32_t page, std::span<const std::byte> from) override {
    each_part(group, [&, at = std::size_t{0}](std::size_t offset, std::size_t bytes) mutable {
      device_.write(*kv_, offset + static_cast<std::size_t>(page) * bytes, from.subspan(at, bytes));
      at += bytes;
    });
  }

  void release_pages(int group, std::span<const std::int32_t> pages) override {
    each_part(group, [&](std::size_t offset, std::size_t bytes) {
      for (std::int32_t page : pages)
        device_.discard(*kv_, offset + static_cast<std::size_t>(page) * bytes, bytes);
    });
  }

  // The arena holds nothing from step to step.
  void rest() override {
    const std::lock_guard lock(running_);
    device_.discard(*arena_, 0, arena_->size());
    device_.rest();
  }

  // A call is everything that a step does with one kernel: how many dispatches that is differs from step to
  // step.
  std::vector<CallInfo> calls() const override {
    std::vector<CallInfo> infos;
    for (const KernelInfo* kernel : kernels_) infos.push_back({kernel->name, {}, 0});
    return infos;
  }
  void observe(StepObserver observer) override {
    if (observer && !device_.tells_times())
      fail(ErrorKind::unsupported, "device {} tells no times of single calls", device_.name());
    observer_ = std::move(observer);
    lists_.clear(), last_ = nullptr;
  }

  void check_guards() const override {
    if (!last_) return;
    std::vector<std::byte> bytes(kGuardBytes);
    for (std::size_t at : last_->guards) {
      device_.read(*arena_, at, bytes);
      if (std::ranges::any_of(bytes, [](std::byte b) { return b != kGuard; }))
        fail(ErrorKind::device, "a kernel wrote past the end of its buffer, at byte {} of the arena", at);
    }
  }

 private:
  // fn(offset, bytes of a page) for the keys and the values, or the states, of each layer of the group.
  template <class Fn>
  void each_part(int group, Fn fn) const {
    for (std::size_t i = 0; i < kv_parts_.size(); ++i)
      if (graph_.kv_layers()[i / 2].group == group && kv_parts_[i].page_bytes > 0)
        fn(kv_parts_[i].offset, static_cast<std::size_t>(kv_parts_[i].page_bytes));
  }

  struct List {
    std::vector<std::unique_ptr<CommandList>> commands;  // one; a dispatch each while somebody observes
    std::vector<std::size_t> kernels;                    // of each dispatch, in kernels_
    // Offsets in the arena: of what is received, of the logits and of the best of them.
    std::size_t input = 0, output = 0, best = 0;
    std::vector<std::size_t> guards;  // offsets of guard bytes
  };

  std::size_t result_values() const {
    return static_cast<std::size_t>(rows_ * graph_[graph_.output()].type.width());
  }
  // From one GPU to another directly, where they can; else by way of the host.
  void receive(const List& list) {
    if (peer_ && device_.copy(peer_->device_, *peer_->arena_, peer_->last_->output, *arena_, list.input,
                              peer_->result_values() * sizeof(float)))
      return;
    device_.write(*arena_, list.input, std::as_bytes(before_->logits()));
  }

  // Dispatches one at a time, told as if a step did all of one kernel's before the next kernel's.
  void run_timed(const kernels::Step& step, const List& list) {
    std::vector<std::chrono::nanoseconds> ends(kernels_.size());
    for (std::size_t i = 0; i < list.commands.size(); ++i)
      ends[list.kernels[i]] += device_.run_timed(*list.commands[i]);
    std::partial_sum(ends.begin(), ends.end(), ends.begin());
    observer_(step, ends);
  }

  std::size_t guard() const { return options_.guard ? kGuardBytes : 0; }

  List& list_for(const StepShape& shape) {
    const StepShape key = lowering_.covering(shape);
    const auto found = lists_.find(key);
    if (found != lists_.end()) return found->second;
    List list = record(key);
    return lists_.emplace(key, std::move(list)).first->second;
  }

  List record(const StepShape& shape) {
    const StepPlan plan = lowering_.plan(shape);
    const Schedule placed = schedule(plan, guard());
    // Packing is greedy: a smaller step may, rarely, need a larger arena.
    if (placed.arena_bytes > arena_->size()) lists_.clear(), arena_ = device_.allocate(placed.arena_bytes);
    std::vector<Dispatch> dispatches;
    for (std::size_t i = 0; i < plan.dispatches.size(); ++i) {
      const PlannedDispatch& d = plan.dispatches[i];
      Dispatch out{device_.pipeline(*d.kernel), d.params, {}, d.grid, d.kernel->threads, placed.barriers[i]};
      for (const std::vector<Region>* regions : {&d.reads, &d.writes})
        for (const Region& r : *regions) out.buffers.push_back(binding(r, placed));
      dispatches.push_back(std::move(out));
    }
    List list{.output = placed.offsets[static_cast<std::size_t>(plan.output.id)]};
    if (options_.best) list.best = placed.offsets[static_cast<std::size_t>(plan.best.id)];
    if (plan.input.id >= 0) list.input = placed.offsets[static_cast<std::size_t>(plan.input.id)];
    for (const PlannedDispatch& d : plan.dispatches)
      list.kernels.push_back(
          static_cast<std::size_t>(std::ranges::find(kernels_, d.kernel) - kernels_.begin()));
    if (!observer_) list.commands.push_back(device_.record(std::move(dispatches)));
    for (std::size_t i = 0; observer_ && i < dispatches.size(); ++i)
      list.commands.push_back(device_.record({std::move(dispatches[i])}));
    for (std::size_t i = 0; i < placed.offsets.size() && options_.guard; ++i)
      if (plan.activation_bytes[i]) list.guards.push_back(placed.offsets[i] + plan.activation_bytes[i]);
    return list;
  }

  Binding binding(const Region& r, const Schedule& placed) const {
    switch (r.kind) {
      case RegionKind::weight:
        return weights_.weight(r.id);
      case RegionKind::table:
        return weights_.table(r.id);
      case RegionKind::step:
        return step_.binding(r.id);
      case RegionKind::kv:
        return {kv_.get(), kv_parts_[static_cast<std::size_t>(r.id)].offset};
      case RegionKind::activation:
        break;
    }
    return {arena_.get(), placed.offsets[static_cast<std::size_t>(r.id)]};
  }

  void write_guards(const List& list) {
    const std::vector<std::byte> bytes(kGuardBytes, kGuard);
    for (std::size_t at : list.guards) device_.write(*arena_, at, bytes);
  }

  Device& device_;
  const ir::Graph& graph_;
  const ProgramOptions options_;
  const std::vector<KvPart> kv_parts_;
  const Lowering lowering_;
  const std::vector<const KernelInfo*> kernels_;
  const Weights weights_;
  StepBuffer step_;
  std::unique_ptr<Buffer> arena_, kv_;
  std::map<StepShape, List> lists_;
  const List* last_ = nullptr;
  std::int64_t rows_ = 0;  // of the last step's result
  const Program* before_ = nullptr;
  const GpuProgram* peer_ = nullptr;  // the same, if it is on a GPU as well
  mutable StepResults results_;
  MemoryPlan memory_;
  StepObserver observer_;
  std::mutex running_;
};

class GpuBackend final : public Backend {
 public:
  GpuBackend(std::unique_ptr<Device> device, LowerOptions tuning)
      : device_(std::move(device)), tuning_(tuning) {}

  std::string_view name() const override { return device_->name(); }
  DeviceMemory memory() const override { return device_->memory(); }
  // Each step unpacks all weights before it multiplies them by wgmma: 8B Q4_K_M on an H200 reads 30,162
  // tokens/s by 2,048, 22,955 by 512.
  int prompt_tokens() const override { return tuning_.wgmma_rows > 0 ? 4 * kPromptTokens : kPromptTokens; }
  std::vector<std::optional<DeviceLimits>> measure_limits(const std::filesystem::path& cache) override {
    return {gpu::measure_limits(*device_, {.wgmma = tuning_.wgmma_rows > 0, .kernel_cache = cache})};
  }
  std::unique_ptr<Program> lower(const ir::Graph& graph, const ProgramOptions& options) override {
    check_fits(graph, options);
    return std::make_unique<GpuProgram>(*device_, imports_, graph, options, tuning_);
  }
  MemoryPlan plan(const ir::Graph& graph, const ProgramOptions& options) override {
    const std::vector<KvPart> parts = layout_kv(graph, options);
    const Lowering lowering(graph, options, parts, tuning_);
    return measure(graph, options, parts, largest_arena(lowering, options, 0));
  }

 private:
  void check_fits(const ir::Graph& graph, const ProgramOptions& options) {
    constexpr std::int64_t kMega = 1'000'000;
    const DeviceMemory memory = device_->memory();
    if (memory.available == 0) return;
    MemoryPlan takes = plan(graph, options);
    takes.weights -= std::min(takes.weights, imports_.bytes());
    if (takes.fits(memory)) return;
    throw Error(ErrorKind::out_of_memory,
                fmt::format("this needs {} MB, and device {} has {} MB for it", takes.on_device() / kMega,
                            device_->name(), memory.available / kMega),
                "use a smaller context (--ctx) or model, fewer --gpu-layers, or --device cpu");
  }

  std::unique_ptr<Device> device_;
  LowerOptions tuning_;
  Imports imports_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(std::unique_ptr<Device> device, LowerOptions tuning) {
  return std::make_unique<GpuBackend>(std::move(device), tuning);
}

}  // namespace medlar::runtime::gpu
