#include "engine/placement.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"
#include "formats/all.h"
#include "ir/cut.h"
#include "runtime/staged.h"

namespace medlar {
namespace {

// To hand a token's activations to a GPU and back takes about 0.1 ms, in which a processor reads so many
// bytes of weights at 100 GB/s. A GPU that takes no more than that off it makes nothing faster.
constexpr std::int64_t kLeastGain = 10'000'000;

// Bytes in the memory of a device: what its layers take, and what it takes for whichever it has.
struct Sizes {
  std::vector<std::int64_t> layers;
  std::int64_t embedding = 0, head = 0;
  std::int64_t fixed = 0;
};

std::int64_t kv_bytes(const ir::Graph& graph, const runtime::ProgramOptions& program) {
  std::int64_t bytes = 0;
  for (const ir::KvLayer& layer : graph.kv_layers()) {
    const std::int64_t pages = program.kv_pages[static_cast<std::size_t>(layer.group)];
    bytes += pages * (layer.conv_state + layer.scan_state) * static_cast<std::int64_t>(sizeof(float));
    bytes += pages * layer.heads * kernels::kPageTokens *
             (row_bytes(program.k_type, layer.k_dim) + row_bytes(program.v_type, layer.v_dim));
  }
  return bytes;
}

Sizes sizes_of(const Placing& what, runtime::Backend& gpu) {
  const std::vector<ir::Value> borders = ir::layer_borders(what.graph);
  Sizes sizes;
  sizes.embedding = ir::extract(what.graph, borders.front()).weight_bytes();
  for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
    const ir::Graph layer = ir::extract(what.graph, borders[i + 1], borders[i]);
    sizes.layers.push_back(layer.weight_bytes() + kv_bytes(layer, what.program));
  }
  sizes.head = ir::extract(what.graph, what.graph.output(), borders.back()).weight_bytes();
  sizes.fixed = gpu.plan(what.graph, what.program).activations;
  return sizes;
}

// How many of the last layers GPUs have, and whether the embedding is there with the first.
struct Wanted {
  std::int64_t layers = 0;
  bool embedding = false;
};

std::int64_t sum(std::span<const std::int64_t> values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

// "24 of 32 layers on NVIDIA H200, 8 on the CPU"
std::string text(const std::vector<Placement::Part>& parts, std::int64_t layers) {
  std::string all;
  const auto add = [&](const Placement::Part& part) {
    all += all.empty() ? fmt::format("{} of {} layers on {}", part.layers, layers, part.name)
                       : fmt::format(", {} on {}", part.layers, part.name);
  };
  for (const bool on_gpu : {true, false})
    for (const Placement::Part& part : parts)
      if ((part.device != Device::cpu) == on_gpu) add(part);
  return all;
}

// Spreads the last layers of a model over GPUs.
class Spreading {
 public:
  using Gpus = std::vector<std::shared_ptr<runtime::Backend>>;

  Spreading(const Placing& what, Device device, Backends& backends, int gpus)
      : what_(what),
        device_(device),
        cpu_(backends.get(Device::cpu, what.processor)),
        gpus_(first(backends, device, gpus)),
        sizes_(sizes_of(what, *gpus_.front())) {
    for (const auto& gpu : gpus_) {
      const std::int64_t room = gpu->memory().available;
      const std::int64_t all = sum(sizes_.layers) + sizes_.embedding + sizes_.head + sizes_.fixed;
      rooms_.push_back(room > 0 ? room : all);
    }
  }

  // Each GPU has the same part of its memory filled, as nearly as whole layers allow; the last has what has
  // no room.
  Placement place(const Wanted& wanted) const {
    std::vector<std::int64_t> best = filled(wanted, 1);
    double low = 0, high = 1;
    for (int i = 0; i < 20; ++i) {  // to a millionth
      const double middle = (low + high) / 2;
      std::vector<std::int64_t> counts = filled(wanted, middle);
      const bool all = sum(counts) == wanted.layers;
      (all ? high : low) = middle;
      if (all) best = std::move(counts);
    }
    best.back() += wanted.layers - sum(best);
    return made(wanted, best);
  }

  // As many as there is room for, with the embedding on the processor.
  Placement place_fitting() const {
    for (Wanted wanted{.layers = std::ssize(sizes_.layers)}; gains(wanted); --wanted.layers) {
      if (sum(filled(wanted, 1)) < wanted.layers) continue;
      if (Placement placement = place(wanted); placement.fits(what_)) return placement;
    }
    throw Error(ErrorKind::unsupported, "the GPU has no room for enough layers to make the model faster",
                "use --device cpu");
  }

 private:
  static Gpus first(Backends& backends, Device device, int count) {
    Gpus gpus;
    for (int g = 0; g < count; ++g) gpus.push_back(backends.get(device, {}, g));
    return gpus;
  }

  // Layers of each GPU when it uses so much of its room: those before the last take what they can.
  std::vector<std::int64_t> filled(const Wanted& wanted, double share) const {
    std::vector<std::int64_t> counts(gpus_.size(), 0);
    auto next = sizes_.layers.end() - wanted.layers;
    for (std::size_t g = 0; g < gpus_.size(); ++g) {
      auto left = static_cast<std::int64_t>(share * static_cast<double>(rooms_[g])) - sizes_.fixed;
      if (g == 0 && wanted.embedding) left -= sizes_.embedding;
      if (g + 1 == gpus_.size()) left -= sizes_.head;
      for (; next != sizes_.layers.end() && left >= *next; ++next, ++counts[g]) left -= *next;
    }
    return counts;
  }

  bool gains(const Wanted& wanted) const {
    return wanted.layers > 0 &&
           sum(std::span(sizes_.layers).last(static_cast<std::size_t>(wanted.layers))) > kLeastGain;
  }

  Placement made(const Wanted& wanted, const std::vector<std::int64_t>& counts) const {
    Placement placement;
    std::vector<runtime::Stage> stages;
    const std::int64_t layers = std::ssize(sizes_.layers);
    if (!wanted.embedding) {
      stages.push_back({cpu_, layers - wanted.layers});
      placement.parts.push_back({.layers = layers - wanted.layers, .name = "the CPU"});
    }
    for (std::size_t g = 0; g < gpus_.size(); ++g) {
      stages.push_back({gpus_[g], counts[g]});
      const int number = static_cast<int>(g);
      std::string name(gpus_[g]->name());
      if (gpus_.size() > 1) name += fmt::format(" {}", number);
      placement.parts.push_back(
          {.device = device_, .number = number, .layers = counts[g], .name = std::move(name)});
    }
    placement.backend = stages.size() == 1
                            ? gpus_.front()
                            : runtime::make_staged_backend(text(placement.parts, layers), std::move(stages));
    return placement;
  }

  const Placing& what_;
  const Device device_;
  const std::shared_ptr<runtime::Backend> cpu_;
  const Gpus gpus_;
  const Sizes sizes_;
  std::vector<std::int64_t> rooms_;
};

Placement on_one(const Placing& what, Device device, Backends& backends) {
  Placement placement{.backend = backends.get(device, what.processor)};
  placement.parts.push_back({.device = device,
                             .layers = std::ssize(what.graph.kv_layers()),
                             .name = std::string(placement.backend->name())});
  return placement;
}

// With as many tokens at once as suit the device, unless they say how many.
EngineOptions settled(EngineOptions options, Backends& backends) {
  if (options.batch == 0)
    options.batch = options.device == Device::cpu ? runtime::kPromptTokens
                                                  : backends.get(options.device)->prompt_tokens();
  return options;
}

}  // namespace

std::int64_t Placement::gpu_layers() const {
  std::int64_t layers = 0;
  for (const Part& part : parts) layers += part.device == Device::cpu ? 0 : part.layers;
  return layers;
}

int Placement::gpus() const {
  return static_cast<int>(
      std::ranges::count_if(parts, [](const Part& p) { return p.device != Device::cpu; }));
}

bool Placement::fits(const Placing& what) const {
  const std::vector<runtime::MemoryPlan> plans = backend->plans(what.graph, what.program);
  const std::vector<runtime::DeviceMemory> memories = backend->memories();
  return std::ranges::equal(plans, memories, &runtime::MemoryPlan::fits);
}

Placement place(const Placing& what, const EngineOptions& options, Backends& backends) {
  const auto layers = static_cast<int>(what.graph.kv_layers().size());
  const bool fitting = options.gpu_layers == kFittingLayers;
  const int wanted = fitting ? layers : std::clamp(options.gpu_layers.value_or(layers), 0, layers);
  if (options.device == Device::cpu || wanted == 0) return on_one(what, Device::cpu, backends);
  const bool whole = wanted == layers && !fitting;
  const int there = backends.count(options.device);
  if (options.gpus > there)
    throw Error(ErrorKind::device, fmt::format("there are no {} GPUs here, but {}", options.gpus, there),
                fmt::format("use --gpus {}", there));
  int gpus = options.gpus > 0 ? options.gpus : fitting ? there : 1;
  const int most = options.gpus > 0 ? options.gpus : there;
  if (whole && gpus == 1) {
    Placement one = on_one(what, options.device, backends);
    if (most == 1 || one.fits(what)) return one;
    ++gpus;
  }
  for (;; ++gpus) {
    const Spreading spreading(what, options.device, backends, gpus);
    if (fitting) return spreading.place_fitting();
    Placement placement = spreading.place({.layers = wanted, .embedding = whole});
    if (gpus == most || placement.fits(what)) return placement;
  }
}

std::vector<EngineOptions> choices(const EngineOptions& options, Backends& backends) {
  EngineOptions choice = options;
  if (options.device != Device::automatic) return {settled(options, backends)};
  std::vector<EngineOptions> all;
  const bool asked = options.gpus > 0 || options.gpu_layers.value_or(0) > 0;
  for (const Device device : backends.automatic()) {
    choice.device = device;
    if (device == Device::cpu || options.gpu_layers == 0) break;
    all.push_back(settled(choice, backends));
    if (options.gpu_layers) continue;
    choice.gpu_layers = kFittingLayers;
    all.push_back(settled(choice, backends));
    choice.gpu_layers.reset();
  }
  choice.device = Device::cpu, choice.gpus = 0;
  if (all.empty() || !asked) all.push_back(settled(choice, backends));
  return all;
}

}  // namespace medlar
