#include "runtime/staged.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ir/cut.h"

namespace medlar::runtime {
namespace {

std::vector<ir::Graph> cut(const ir::Graph& graph, const std::vector<Stage>& stages) {
  std::vector<std::int64_t> layers;
  for (const Stage& stage : stages) layers.push_back(stage.layers);
  return ir::cut(graph, layers);
}

MemoryPlan sum(const std::vector<MemoryPlan>& plans) {
  MemoryPlan all;
  for (const MemoryPlan& plan : plans) {
    all.weights += plan.weights, all.kv += plan.kv, all.state += plan.state;
    all.activations += plan.activations, all.scratch += plan.scratch;
  }
  return all;
}

// As devices call themselves; with their numbers where names are alike.
std::vector<std::string> names_of(const std::vector<Stage>& stages) {
  std::vector<std::string> names;
  for (const Stage& stage : stages) {
    const std::string_view name = stage.backend->name();
    const auto same = [&](const Stage& other) { return other.backend->name() == name; };
    names.push_back(std::ranges::count_if(stages, same) == 1
                        ? std::string(name)
                        : fmt::format("{} {}", name, stage.backend->memory().number));
  }
  return names;
}

class StagedProgram final : public Program {
 public:
  StagedProgram(const std::vector<Stage>& stages, const ir::Graph& graph, const ProgramOptions& options)
      : graphs_(cut(graph, stages)), names_(names_of(stages)), ends_(stages.size()) {
    std::vector<MemoryPlan> plans;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      ProgramOptions own = options;
      own.handed_on = i + 1 < stages.size();
      own.best = options.best && !own.handed_on;
      programs_.push_back(stages[i].backend->lower(graphs_[i], own));
      if (i > 0) programs_[i]->follow(*programs_[i - 1]);
      plans.push_back(programs_[i]->memory());
    }
    memory_ = sum(plans);
  }

  void run(const kernels::Step& step) override {
    for (const auto& program : programs_) program->run(step);
    if (observer_) tell(step);
  }
  std::span<const float> logits() const override { return programs_.back()->logits(); }
  std::span<const float> logits(std::int32_t row) const override { return programs_.back()->logits(row); }
  std::span<const TokenLogit> best(std::int32_t row) const override { return programs_.back()->best(row); }
  void follow(const Program& before) override { programs_.front()->follow(before); }
  std::vector<const Program*> parts() const override {
    std::vector<const Program*> all;
    for (const auto& program : programs_) all.push_back(program.get());
    return all;
  }
  const MemoryPlan& memory() const override { return memory_; }

  void copy_page(int group, std::int32_t from, std::int32_t to) override {
    for (const auto& program : programs_) program->copy_page(group, from, to);
  }
  std::size_t page_bytes(int group) const override {
    std::size_t bytes = 0;
    for (const auto& program : programs_) bytes += program->page_bytes(group);
    return bytes;
  }
  void read_page(int group, std::int32_t page, std::span<std::byte> to) const override {
    for (const auto& program : programs_) {
      program->read_page(group, page, to.first(program->page_bytes(group)));
      to = to.subspan(program->page_bytes(group));
    }
  }
  void write_page(int group, std::int32_t page, std::span<const std::byte> from) override {
    for (const auto& program : programs_) {
      program->write_page(group, page, from.first(program->page_bytes(group)));
      from = from.subspan(program->page_bytes(group));
    }
  }
  void release_pages(int group, std::span<const std::int32_t> pages) override {
    for (const auto& program : programs_) program->release_pages(group, pages);
  }
  void rest() override {
    for (const auto& program : programs_) program->rest();
  }

  std::vector<CallInfo> calls() const override {
    std::vector<CallInfo> all;
    for (std::size_t i = 0; i < programs_.size(); ++i)
      for (CallInfo& call : programs_[i]->calls()) {
        call.device = names_[i];
        all.push_back(std::move(call));
      }
    return all;
  }
  void observe(StepObserver observer) override {
    for (std::size_t i = 0; i < programs_.size(); ++i)
      programs_[i]->observe(!observer ? StepObserver()
                                      : [this, i](const kernels::Step&, std::span<const Nanoseconds> ends) {
                                          ends_[i].assign(ends.begin(), ends.end());
                                        });
    observer_ = std::move(observer);
  }
  void check_guards() const override {
    for (const auto& program : programs_) program->check_guards();
  }

 private:
  using Nanoseconds = std::chrono::nanoseconds;

  // As if each device began when the one before ended: what lies between them is no call's.
  void tell(const kernels::Step& step) const {
    std::vector<Nanoseconds> all;
    Nanoseconds begin{0};
    for (const auto& ends : ends_) {
      for (const Nanoseconds end : ends) all.push_back(begin + end);
      if (!all.empty()) begin = all.back();
    }
    observer_(step, all);
  }

  const std::vector<ir::Graph> graphs_;  // programs refer to them
  const std::vector<std::string> names_;
  std::vector<std::unique_ptr<Program>> programs_;
  MemoryPlan memory_;
  StepObserver observer_;
  std::vector<std::vector<Nanoseconds>> ends_;  // of each program's calls, since it began
};

class StagedBackend final : public Backend {
 public:
  StagedBackend(std::string name, std::vector<Stage> stages)
      : name_(std::move(name)), stages_(std::move(stages)) {}

  std::string_view name() const override { return name_; }
  std::unique_ptr<Program> lower(const ir::Graph& graph, const ProgramOptions& options) override {
    return std::make_unique<StagedProgram>(stages_, graph, options);
  }
  MemoryPlan plan(const ir::Graph& graph, const ProgramOptions& options) override {
    return sum(plans(graph, options));
  }
  std::vector<DeviceMemory> memories() const override {
    std::vector<DeviceMemory> all;
    for (const Stage& stage : stages_) all.push_back(stage.backend->memory());
    return all;
  }
  std::vector<std::optional<DeviceLimits>> measure_limits(const std::filesystem::path& cache) override {
    std::vector<std::optional<DeviceLimits>> all;
    for (const Stage& stage : stages_) all.push_back(stage.backend->measure_limits(cache).front());
    return all;
  }
  std::vector<MemoryPlan> plans(const ir::Graph& graph, const ProgramOptions& options) override {
    const std::vector<ir::Graph> graphs = cut(graph, stages_);
    std::vector<MemoryPlan> all;
    for (std::size_t i = 0; i < stages_.size(); ++i)
      all.push_back(stages_[i].backend->plan(graphs[i], options));
    return all;
  }

 private:
  const std::string name_;
  const std::vector<Stage> stages_;
};

}  // namespace

std::unique_ptr<Backend> make_staged_backend(std::string name, std::vector<Stage> stages) {
  return std::make_unique<StagedBackend>(std::move(name), std::move(stages));
}

}  // namespace medlar::runtime
