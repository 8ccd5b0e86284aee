#include "engine/plan.h"

#include <algorithm>
#include <set>
#include <variant>

#include "base/assert.h"
#include "engine/impl.h"
#include "formats/all.h"
#include "ir/cut.h"
#include "models/tokenizer_spec.h"

namespace medlar {
namespace {

ModelWork::Products& products_of(ModelWork& work, DType type) {
  const auto found = std::ranges::find(work.products, type, &ModelWork::Products::type);
  return found != work.products.end() ? *found
                                      : work.products.emplace_back(ModelWork::Products{.type = type});
}

// The products of a graph, by the type of their weights.
void count_products(const ir::Graph& graph, ModelWork& work) {
  for (const ir::Node& node : graph.nodes()) {
    std::vector<ir::ValueType> inputs;
    for (const ir::Value v : node.inputs) inputs.push_back(graph[v].type);
    const auto add = [&](DType type, const ir::Cost& cost) {
      ModelWork::Products& p = products_of(work, type);
      p.bytes += cost.weight_bytes;
      (node.type.rows == ir::RowCount::tokens ? p.flops : p.head_flops) += cost.flops_per_row;
    };
    if (const auto* linear = std::get_if<ir::Linear>(&node.op)) add(inputs[1].dtype, linear->cost(inputs));
    if (const auto* experts = std::get_if<ir::Experts>(&node.op)) add(inputs[2].dtype, experts->cost(inputs));
  }
}

void count_states(const ir::Graph& graph, ModelWork& work) {
  for (const ir::KvLayer& layer : graph.kv_layers())
    work.state_bytes += 2 * static_cast<double>(layer.conv_state + layer.scan_state) * sizeof(float);
  for (const ir::Node& node : graph.nodes()) {
    std::vector<ir::ValueType> inputs;
    for (const ir::Value v : node.inputs) inputs.push_back(graph[v].type);
    if (const auto* scan = std::get_if<ir::Scan>(&node.op))
      work.state_flops += scan->cost(inputs).flops_per_row;
    if (const auto* conv = std::get_if<ir::ShortConv>(&node.op))
      work.state_flops += conv->cost(inputs).flops_per_row;
  }
}

void count_attention(const ir::Graph& graph, DType k_type, DType v_type, ModelWork& work) {
  const auto layers = graph.kv_layers();
  const auto windows = graph.group_windows();
  work.layers = std::ssize(layers);
  for (const std::int64_t window : windows) work.attention.push_back({.window = window});
  for (const ir::Node& node : graph.nodes()) {
    const auto* attention = std::get_if<ir::Attention>(&node.op);
    if (!attention) continue;
    const ir::KvLayer& layer = layers[static_cast<std::size_t>(attention->layer)];
    ModelWork::Attention& a = work.attention[static_cast<std::size_t>(layer.group)];
    const auto heads = static_cast<double>(graph[node.inputs[0]].type.shape[0]);
    a.flops += 2 * heads * static_cast<double>(layer.k_dim + node.type.shape[1]);
    a.kv_bytes +=
        static_cast<double>(layer.heads * (row_bytes(k_type, layer.k_dim) + row_bytes(v_type, layer.v_dim)));
  }
  std::erase_if(work.attention, [](const auto& a) { return a.window == kernels::kRecurrent; });
}

ModelWork work_of(const ir::Graph& graph, const runtime::ProgramOptions& program) {
  ModelWork work;
  count_products(graph, work);
  count_attention(graph, program.k_type, program.v_type, work);
  count_states(graph, work);
  return work;
}

// Bytes of weights that only give a row for each token.
std::int64_t embedded_weights(const ir::Graph& graph, bool whole) {
  std::set<int> embedded, used;
  for (const ir::Node& node : graph.nodes())
    for (const ir::Value v : node.inputs)
      if (const auto* weight = graph.get_if<ir::Weight>(v))
        (std::holds_alternative<ir::Embed>(node.op) ? embedded : used).insert(weight->index);
  std::int64_t bytes = 0;
  for (const int index : embedded)
    if (!whole || !used.contains(index))
      bytes += std::ssize(graph.weights()[static_cast<std::size_t>(index)].tensor.bytes);
  return bytes;
}

// The head, which may share its weights with the embedding, is on the
// device of the last part.
std::vector<ModelPlan::Part> parts_of(const Placement& placement, const ir::Graph& graph,
                                      const runtime::ProgramOptions& program) {
  const std::vector<runtime::DeviceMemory> rooms = placement.backend->memories();
  const std::vector<runtime::MemoryPlan> memories = placement.backend->plans(graph, program);
  std::vector<std::int64_t> layers;
  for (const Placement::Part& p : placement.parts) layers.push_back(p.layers);
  std::vector<ModelWork> works;
  if (layers.size() == 1)
    works.push_back(work_of(graph, program));
  else
    for (const ir::Graph& part : ir::cut(graph, layers)) works.push_back(work_of(part, program));
  std::vector<ModelPlan::Part> parts;
  for (std::size_t i = 0; i < placement.parts.size(); ++i) {
    const Placement::Part& p = placement.parts[i];
    parts.push_back({.device = p.device,
                     .name = p.name,
                     .layers = p.layers,
                     .memory = memories[i],
                     .room = rooms[i],
                     .weights_resident = memories[i].weights,
                     .work = std::move(works[i])});
  }
  parts.front().weights_resident -= embedded_weights(graph, parts.size() == 1);
  return parts;
}

// Positions seen by a token at `depth`.
double seen(const ModelWork::Attention& a, double depth) {
  return a.window > 0 ? std::min(depth, static_cast<double>(a.window)) : depth;
}

}  // namespace

double ModelWork::weight_bytes() const {
  double bytes = 0;
  for (const Products& p : products) bytes += p.bytes;
  return bytes;
}

double ModelWork::kv_bytes(double depth) const {
  double bytes = state_bytes;
  for (const Attention& a : attention) bytes += a.kv_bytes * seen(a, depth);
  return bytes;
}

double ModelWork::attention_flops(double depth) const {
  double flops = state_flops;
  for (const Attention& a : attention) flops += a.flops * seen(a, depth);
  return flops;
}

struct Planner::Impl {
  std::unique_ptr<Engine::Impl> engine;
  Backends backends;
  std::shared_ptr<runtime::Backend> backend;  // of what was planned last
};

Planner::Planner(const std::filesystem::path& path)
    : impl_(std::make_unique<Impl>(std::make_unique<Engine::Impl>(path))) {}
Planner::~Planner() = default;
Planner::Planner(Planner&&) noexcept = default;
Planner& Planner::operator=(Planner&&) noexcept = default;

const ModelDescription& Planner::description() const { return impl_->engine->description; }

std::int64_t Planner::weight_bytes_as(DType type) const {
  const std::int64_t block = format_info(type).block_length;
  std::int64_t bytes = 0;
  for (const gguf::Tensor& t : impl_->engine->file.tensors()) {
    const bool matrix = t.view.shape.rank() >= 2 && t.view.shape.back() % block == 0;
    bytes += matrix ? row_bytes(type, t.view.shape.back()) * t.view.shape.rows() : std::ssize(t.view.bytes);
  }
  return bytes;
}

ModelPlan Planner::plan(const EngineOptions& options) {
  Engine::Impl& engine = *impl_->engine;
  engine.settle(options);
  const Placement placement = engine.choose_placement(impl_->backends);
  const runtime::ProgramOptions program = engine.program_options();
  const ir::Graph& graph = engine.model.graph;
  ModelPlan plan{.options = engine.options,
                 .parts = parts_of(placement, graph, program),
                 .work = work_of(graph, program),
                 .table_bytes = static_cast<std::int64_t>(engine.file.memory_bytes()) +
                                models::tokenizer_bytes(engine.file.metadata())};
  for (const ModelPlan::Part& part : plan.parts) {
    plan.memory.kv += part.memory.kv, plan.memory.state += part.memory.state;
    plan.memory.activations += part.memory.activations;
    plan.memory.scratch += part.memory.scratch;
  }
  plan.memory.weights = graph.weight_bytes();
  plan.weights_resident = plan.memory.weights - embedded_weights(graph, true);
  plan.options.gpu_layers = static_cast<int>(placement.gpu_layers());
  plan.options.gpus = placement.gpus();
  plan.directory_bytes = engine.description.file_bytes;
  for (const ModelDescription::Type& type : engine.description.types) plan.directory_bytes -= type.bytes;
  plan.directory_bytes = std::max<std::int64_t>(plan.directory_bytes, 0);  // vectors may be copied as f32
  plan.options.context = engine.context;
  plan.options.threads = engine.threads;
  plan.options.k_type = program.k_type, plan.options.v_type = program.v_type;
  impl_->backend = placement.backend;
  return plan;
}

std::vector<std::optional<runtime::DeviceLimits>> Planner::measure_limits() {
  MEDLAR_ASSERT(impl_->backend);
  return impl_->backend->measure_limits(impl_->engine->options.kernel_cache);
}

std::vector<EngineOptions> Planner::choices(const EngineOptions& options) {
  return medlar::choices(options, impl_->backends);
}

std::shared_ptr<Engine> Planner::load(const EngineOptions& options) && {
  impl_->engine->load(options, std::move(impl_->backends));
  return std::make_shared<Engine>(std::move(impl_->engine));
}

}  // namespace medlar
