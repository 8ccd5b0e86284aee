#include "tune/bench.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <span>

#include <fmt/format.h>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/host.h"
#include "base/process_memory.h"
#include "base/team.h"
#include "checkpoint/gguf.h"
#include "formats/all.h"
#include "huggingface/open.h"
#include "kernels/cpu/peak.h"
#include "kernels/cpu/table.h"
#include "tune/machine_limits.h"
#include "tune/workload.h"

namespace medlar::tune {
namespace {

constexpr std::int64_t kWarmUpTokens = 4;
constexpr std::string_view kEmbedding = "token_embd.weight";

// The share of its experts' matrices that a model reads for a token.
struct UsedExperts {
  std::int64_t used = 1, count = 1;

  explicit UsedExperts(const gguf::Metadata& metadata) {
    const auto architecture = metadata.get<std::string_view>("general.architecture");
    const auto number = [&](std::string_view key) {
      return metadata.get_or<std::int64_t>(fmt::format("{}.{}", architecture, key), 1);
    };
    used = number("expert_used_count");
    count = std::max<std::int64_t>(1, number("expert_count"));
  }
  // Of what all experts take together.
  std::int64_t operator()(std::int64_t all) const { return all / count * used; }
};

// What a model's matrices take, apart from the engine that runs them.
struct Weights {
  gguf::File file;
  std::vector<std::span<const std::byte>> bytes;
  std::int64_t bytes_per_token = 0;       // read for one token
  std::int64_t operations_per_token = 0;  // of the layers: a prompt's logits are those of its last token
  DType type = DType::f32;                // the most common one of the layers, by operations

  explicit Weights(const std::filesystem::path& path) : file(huggingface::open_model(path)) {
    for (const MappedFile& part : file.parts()) bytes.push_back(part.bytes());
    const bool tied = !file.find_tensor("output.weight");
    const UsedExperts experts(file.metadata());
    std::map<DType, std::int64_t> operations;
    for (const gguf::Tensor& t : file.tensors()) {
      // An embedding that is not also the head gives one row.
      const bool stack = t.view.shape.rank() == 3;  // one matrix for each expert
      const std::int64_t bytes = std::ssize(t.view.bytes), elements = t.view.shape.elements();
      if (t.name != kEmbedding || tied) bytes_per_token += stack ? experts(bytes) : bytes;
      if (t.view.shape.rank() >= 2 && t.name.starts_with("blk."))
        operations[t.view.type] += 2 * (stack ? experts(elements) : elements);
    }
    for (const auto& [dtype, count] : operations) {
      operations_per_token += count;
      if (count > operations[type]) type = dtype;
    }
  }
};

kernels::CpuTable cpu_table() {
  const CpuFeatures features = detect_cpu_features();
  const char* wanted = std::getenv("MEDLAR_CPU");
  return kernels::CpuTable(choose_cpu_level(features, wanted ? wanted : ""), features);
}

// What a GPU says of itself, measured beside a test. A model over several devices has no limit of one kind.
std::optional<BenchLimit> device_limit(const Engine& engine, const BenchTest& test, const Weights& weights) {
  const std::vector<std::optional<runtime::DeviceLimits>> limits = engine.measure_limits();
  if (limits.size() != 1 || !limits.front()) return std::nullopt;
  if (test.gen > 0)
    return BenchLimit{"read bandwidth", limits.front()->read, static_cast<double>(weights.bytes_per_token)};
  return BenchLimit{"matrix products", limits.front()->products,
                    static_cast<double>(weights.operations_per_token)};
}

// Measured beside a test, with the threads of the test.
std::optional<BenchLimit> processor_limit(const BenchTest& test, const Weights& weights, int threads,
                                          bool exact) {
  Team team({.threads = threads});
  if (test.gen > 0)
    return BenchLimit{"read bandwidth", read_bandwidth(team, weights.bytes),
                      static_cast<double>(weights.bytes_per_token)};
  const kernels::CpuTable table = cpu_table();
  using kernels::KernelOp;
  const auto batches = [&](KernelOp op) { return !exact && table.has(op, weights.type); };
  const bool tiles = batches(KernelOp::unpack_tiles), floats = batches(KernelOp::batch_dot);
  const kernels::KernelEntry& leaf = tiles    ? table.find(KernelOp::unpack_tiles, weights.type)
                                     : floats ? table.find(KernelOp::batch_dot, weights.type)
                                              : table.rows_dot(weights.type, exact);
  const kernels::PeakLoops loops = kernels::peak_loops(leaf.isa);
  const bool f32 = !tiles && leaf.act == kernels::ActKind::f32;
  const std::optional<double> peak = product_peak(team, f32 && !floats ? loops.f32 : loops.quantized);
  if (!peak) return std::nullopt;
  return BenchLimit{tiles ? "bf16 products"
                    : f32 ? "f32 products"
                          : "int8 products",
                    *peak, static_cast<double>(weights.operations_per_token)};
}

// The tests of one setting, on one engine.
class Setting {
 public:
  Setting(const std::filesystem::path& path, const EngineOptions& options)
      : path_(path), options_(options), workload_(path, options) {}

  BenchResult measure(const BenchTest& test, const BenchOptions& options) {
    const Engine& engine = workload_.engine();
    BenchResult r{.setting = setting_of(engine, test)};
    r.setting.model_path = path_.string();
    run({.prompt = std::min<std::int64_t>(test.prompt, engine.batch()),
         .gen = std::min(test.gen, kWarmUpTokens),
         .depth = 0});
    if (options.profile) r.profile.emplace(engine.calls());
    for (int i = 0; i < options.repetitions; ++i)
      r.seconds.push_back(run(test, r.profile ? &*r.profile : nullptr));
    const ProcessMemory memory = process_memory();
    r.anonymous_bytes = memory.anonymous, r.file_bytes = memory.file;
    if (options.limits && (test.prompt == 0 || test.gen == 0)) {
      const Weights weights(path_);
      r.limit = engine.device() == "cpu" ? processor_limit(test, weights, engine.threads(), options_.exact)
                                         : device_limit(engine, test, weights);
    }
    return r;
  }

 private:
  // Seconds from the end of the depth on.
  double run(const BenchTest& test, Profile* profile = nullptr) {
    using Clock = std::chrono::steady_clock;
    if (test.depth > 0) {
      workload_.feed(test.depth);
    } else {
      workload_.reset();
    }
    if (profile) {
      profile->start_trace();
      workload_.engine().observe(
          [profile](const kernels::Step& step, auto ends) { profile->add(step, ends); });
    }
    const Clock::time_point start = Clock::now();
    if (test.prompt > 0) workload_.feed(test.depth + test.prompt);
    for (std::int64_t i = 0; i < test.gen; ++i) workload_.feed(test.depth + test.prompt + i + 1);
    const Clock::time_point end = Clock::now();
    if (profile) workload_.engine().observe(nullptr);
    return std::chrono::duration<double>(end - start).count();
  }

  std::filesystem::path path_;
  EngineOptions options_;
  Workload workload_;
};

}  // namespace

std::string BenchTest::name() const {
  std::string name;
  if (prompt > 0) name = fmt::format("pp{}", prompt);
  if (gen > 0) name += fmt::format("{}tg{}", name.empty() ? "" : "+", gen);
  return depth > 0 ? fmt::format("{} @ d{}", name, depth) : name;
}

std::vector<BenchTest> bench_tests(const BenchOptions& options) {
  std::vector<BenchTest> tests;
  const auto add = [&](std::int64_t prompt, std::int64_t gen) {
    if (prompt == 0 && gen == 0) return;
    for (const std::int64_t depth : options.depths)
      tests.push_back({.prompt = prompt, .gen = gen, .depth = depth});
  };
  for (const std::int64_t prompt : options.prompts) add(prompt, 0);
  for (const std::int64_t gen : options.gens) add(0, gen);
  for (const auto& [prompt, gen] : options.pairs) add(prompt, gen);
  if (tests.empty())
    throw Error(ErrorKind::usage, "there is nothing to measure", "give -p or -n a number above 0");
  return tests;
}

BenchSetting setting_of(const Engine& engine, const BenchTest& test) {
  const ModelDescription& d = engine.description();
  return {.model_type = model_type(d),
          .cpu = probe().cpu,
          .backend = std::string(engine.device()),
          .model_bytes = d.file_bytes,
          .parameters = d.parameters,
          .test = test,
          .threads = engine.threads(),
          .batch = engine.batch(),
          .k_type = engine.k_type(),
          .v_type = engine.v_type()};
}

std::vector<double> BenchResult::tokens_per_second() const {
  std::vector<double> rates;
  for (const double s : seconds) rates.push_back(static_cast<double>(setting.test.tokens()) / s);
  return rates;
}

double BenchResult::limit_share() const {
  return limit ? summarize(tokens_per_second()).median / limit->tokens_per_second() : 0;
}

void bench(const std::filesystem::path& model, const BenchOptions& options,
           const std::function<void(const BenchResult&)>& on_result) {
  const std::vector<BenchTest> tests = bench_tests(options);
  std::int64_t context = 0;
  for (const BenchTest& t : tests) context = std::max(context, t.depth + t.tokens());
  for (const int batch : options.batches) {
    for (const int threads : options.threads) {
      for (const auto& k_type : options.k_types) {
        for (const auto& v_type : options.v_types) {
          Setting setting(model, {.context = std::max<std::int64_t>(context, batch),
                                  .k_type = k_type,
                                  .v_type = v_type,
                                  .threads = threads,
                                  .batch = batch,
                                  .device = options.device,
                                  .gpu_layers = options.gpu_layers,
                                  .gpus = options.gpus,
                                  .exact = options.exact,
                                  .kernel_cache = options.kernel_cache});
          for (const BenchTest& t : tests) on_result(setting.measure(t, options));
        }
      }
    }
  }
}

}  // namespace medlar::tune
