#include "runtime/cpu/backend.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/flush_denormals.h"
#include "runtime/cpu/lower.h"
#include "runtime/cpu/products.h"

namespace medlar::runtime {
namespace {

using namespace cpu;  // NOLINT

constexpr std::size_t kGuardBytes = 64;
constexpr std::byte kGuard{0xA5};

class CpuProgram final : public Program {
 public:
  CpuProgram(const ir::Graph& graph, const ProgramOptions& options, const kernels::CpuTable& table,
             std::shared_ptr<Team> team)
      : team_(std::move(team)),
        kv_(layout_kv(graph, options)),
        pages_(options.kv_pages),
        result_(graph[graph.output()].type),
        exact_(options.exact) {
    Lowering lowering(graph, options, table, team_->size());
    ArenaBuilder arena(options.guard ? kGuardBytes : 0);
    lowering.emit(arena, kv_, nullptr);
    arena_ = PageMemory(arena.place(), PageSize::large);
    kv_memory_ = PageMemory(kv_.bytes);
    arena.set_base(arena_.data());
    calls_ = lowering.emit(arena, kv_, kv_memory_.data());
    logits_ = lowering.output();
    input_ = lowering.input();
    for (const StepCall& call : calls_)
      if (call.entry->scratch)
        scratch_bytes_ = std::max(scratch_bytes_, call.entry->scratch(call.arguments(), options.max_tokens));
    scratch_bytes_ = (scratch_bytes_ + 4095) / 4096 * 4096;
    scratch_ = PageMemory(scratch_bytes_ * static_cast<std::size_t>(team_->size()), PageSize::large);
    taken_.resize(calls_.size());
    guards_ = arena.guards();
    for (std::span<std::byte> guard : guards_) std::fill(guard.begin(), guard.end(), kGuard);
    memory_ = measure(graph);
  }

  void run(const kernels::Step& step) override {
    rows_ = kernels::resolve(result_.rows, step);
    if (before_) std::ranges::copy(before_->logits(), input_);
    std::ranges::fill(taken_, 0);
    const Clock::time_point start = observer_ ? Clock::now() : Clock::time_point();
    team_->run([&](int index) {
      const FlushDenormals flush;
      kernels::Slice slice{
          index, team_->active(),
          scratch_.span().subspan(scratch_bytes_ * static_cast<std::size_t>(index), scratch_bytes_)};
      for (std::size_t i = 0; i < calls_.size(); ++i) {
        slice.taken = &taken_[i];
        if (products_) {
          if (index == 0) tell_products(calls_[i], step, products_);
          team_->barrier(index);
        }
        calls_[i].entry->step(calls_[i].arguments(), step, slice);
        const auto own = calls_[i].own_at_one;
        if (!own || resolve(*own, step) != 1) team_->barrier(index);
        if (index == 0 && observer_) ends_[i] = Clock::now() - start;
      }
    });
    if (observer_) observer_(step, ends_);
  }

  std::span<const float> logits() const override {
    return {logits_, static_cast<std::size_t>(rows_ * result_.width())};
  }
  void follow(const Program& before) override { before_ = &before; }
  std::span<const float> logits(std::int32_t row) const override {
    const auto vocab = static_cast<std::size_t>(result_.width());
    return logits().subspan(static_cast<std::size_t>(row) * vocab, vocab);
  }
  const MemoryPlan& memory() const override { return memory_; }

  void copy_page(int group, std::int32_t from, std::int32_t to) override {
    each_part(group, [&](std::size_t offset, std::size_t bytes) {
      std::byte* base = kv_memory_.data() + offset;
      std::memcpy(base + static_cast<std::size_t>(to) * bytes, base + static_cast<std::size_t>(from) * bytes,
                  bytes);
    });
  }

  std::size_t page_bytes(int group) const override {
    std::size_t total = 0;
    each_part(group, [&](std::size_t, std::size_t bytes) { total += bytes; });
    return total;
  }
  void read_page(int group, std::int32_t page, std::span<std::byte> to) const override {
    each_part(group, [&, at = to.data()](std::size_t offset, std::size_t bytes) mutable {
      std::memcpy(at, kv_memory_.data() + offset + static_cast<std::size_t>(page) * bytes, bytes);
      at += bytes;
    });
  }
  void write_page(int group, std::int32_t page, std::span<const std::byte> from) override {
    each_part(group, [&, at = from.data()](std::size_t offset, std::size_t bytes) mutable {
      std::memcpy(kv_memory_.data() + offset + static_cast<std::size_t>(page) * bytes, at, bytes);
      at += bytes;
    });
  }

  void release_pages(int group, std::span<const std::int32_t> pages) override {
    each_part(group, [&](std::size_t offset, std::size_t bytes) {
      for (std::int32_t page : pages)
        kv_memory_.release(offset + static_cast<std::size_t>(page) * bytes, bytes);
    });
  }

  std::vector<CallInfo> calls() const override {
    std::vector<CallInfo> infos;
    for (const StepCall& call : calls_) infos.push_back({call.entry->name, call.weights, call.weight_bytes});
    return infos;
  }
  void observe(StepObserver observer) override {
    observer_ = std::move(observer);
    ends_.resize(calls_.size());
  }

  void observe_products(ProductObserver observer) override {
    if (observer && !exact_) return Program::observe_products(std::move(observer));
    products_ = std::move(observer);
  }

  void check_guards() const override {
    for (std::span<const std::byte> guard : guards_)
      if (std::any_of(guard.begin(), guard.end(), [](std::byte b) { return b != kGuard; }))
        fail(ErrorKind::device, "a kernel wrote past the end of its buffer");
  }

 private:
  using Clock = std::chrono::steady_clock;

  // fn(offset, bytes of a page) for the keys and the values, or the states, of each layer of the group.
  template <class Fn>
  void each_part(int group, Fn fn) const {
    for (const auto* parts : {&kv_.k, &kv_.v})
      for (std::size_t layer = 0; layer < parts->size(); ++layer)
        if (groups_[layer] == group && (*parts)[layer].pages.page_bytes > 0)
          fn((*parts)[layer].offset, static_cast<std::size_t>((*parts)[layer].pages.page_bytes));
  }

  MemoryPlan measure(const ir::Graph& graph) {
    for (const ir::KvLayer& layer : graph.kv_layers()) groups_.push_back(layer.group);
    std::int64_t tables = 0;
    for (const auto& t : graph.tables()) tables += static_cast<std::int64_t>(t.size() * sizeof(float));
    std::int64_t state = 0;
    for (std::size_t i = 0; i < groups_.size(); ++i)
      if (graph.kv_layers()[i].recurrent())
        state += (kv_.k[i].pages.page_bytes + kv_.v[i].pages.page_bytes) *
                 pages_[static_cast<std::size_t>(groups_[i])];
    return {.weights = graph.weight_bytes(),
            .kv = static_cast<std::int64_t>(kv_.bytes) - state,
            .state = state,
            .activations = static_cast<std::int64_t>(arena_.size()) + tables,
            .scratch = static_cast<std::int64_t>(scratch_.size())};
  }

  std::shared_ptr<Team> team_;
  KvLayout kv_;
  const std::array<std::int32_t, kernels::kMaxKvGroups> pages_;  // of each group
  std::vector<int> groups_;                                      // KV group of each layer
  PageMemory arena_, kv_memory_, scratch_;
  std::size_t scratch_bytes_ = 0;  // a thread
  std::vector<StepCall> calls_;
  std::vector<std::int32_t> taken_;  // of each call, for Slice
  std::vector<std::span<std::byte>> guards_;
  const float* logits_ = nullptr;
  const ir::ValueType result_;
  std::int64_t rows_ = 0;  // of the last step's result
  float* input_ = nullptr;
  const Program* before_ = nullptr;
  const bool exact_;
  StepObserver observer_;
  ProductObserver products_;
  std::vector<std::chrono::nanoseconds> ends_;
  MemoryPlan memory_;
};

class CpuBackend final : public Backend {
 public:
  CpuBackend(std::shared_ptr<Team> team, kernels::CpuTable table)
      : team_(std::move(team)), table_(std::move(table)) {}

  std::string_view name() const override { return "cpu"; }
  std::unique_ptr<Program> lower(const ir::Graph& graph, const ProgramOptions& options) override {
    return std::make_unique<CpuProgram>(graph, options, table_, team_);
  }
  // Memory is only reserved, not touched, by a program; so the plan is the program's own.
  MemoryPlan plan(const ir::Graph& graph, const ProgramOptions& options) override {
    return CpuProgram(graph, options, table_, team_).memory();
  }

 private:
  std::shared_ptr<Team> team_;
  kernels::CpuTable table_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(std::shared_ptr<Team> team, kernels::CpuTable table) {
  return std::make_unique<CpuBackend>(std::move(team), std::move(table));
}

}  // namespace medlar::runtime
