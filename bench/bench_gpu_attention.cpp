// Speed of attention on an NVIDIA GPU, for the shapes of models of 8B and 1B: a layer's work on q8_0 or other
// caches, decoding (bytes of keys and values a second) and reading prompts (operations a second).
//
//   bench_gpu_attention [--types q8_0,f16] [--splits 0,16,48]
//
// Each line is a chain of dispatches over caches that lie apart, as of the layers of a model, each after the
// one before.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "formats/all.h"
#include "kernels/gpu/params.h"
#include "kernels/step.h"
#include "runtime/cuda/device.h"

namespace {

using namespace medlar;  // NOLINT
namespace gpu = medlar::runtime::gpu;

constexpr int kRepetitions = 7, kLayers = 32;
constexpr std::int64_t kCores = 132;

struct Heads {
  const char* name;
  std::int64_t heads, kv_heads, dim;
};
constexpr Heads kHeads[] = {{"8B", 32, 8, 128}, {"1B", 32, 8, 64}};

// Sequences of `context` keys, each with `tokens` new ones, the last of them.
struct Work {
  std::int64_t sequences, tokens, context;
};
constexpr Work kWorks[] = {{1, 1, 128},   {1, 1, 256},     {1, 1, 512},   {1, 1, 2048},
                           {1, 1, 16384}, {8, 1, 128},     {8, 1, 2048},  {8, 1, 16384},
                           {1, 512, 512}, {1, 2048, 2048}, {1, 512, 8192}};

struct Type {
  std::string name;
  DType type;
  std::uint32_t number;
};

template <class Params>
std::vector<std::byte> bytes_of(const Params& params) {
  std::vector<std::byte> bytes(sizeof params);
  std::memcpy(bytes.data(), &params, sizeof params);
  return bytes;
}

std::uint32_t u32_of(std::int64_t v) { return static_cast<std::uint32_t>(v); }
std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

class Bench {
 public:
  Bench() : device_(runtime::make_cuda_device()) {
    fmt::print("{}\n| shape | cache | sequences | tokens | context | splits | us | GB/s | TFLOP/s |\n",
               device_->name());
    fmt::print("|---|---|--:|--:|--:|--:|--:|--:|--:|\n");
  }

  void run(const Heads& shape, const Type& type, const Work& work, std::int64_t splits) {
    const std::int64_t row = row_bytes(type.type, shape.dim),
                       page = row * shape.kv_heads * kernels::kPageTokens;
    const std::int64_t pages = work.sequences * ceil_div(work.context, kernels::kPageTokens);
    const auto layer = static_cast<std::size_t>(2 * page * pages);
    const std::size_t copies = std::clamp<std::size_t>((std::size_t{1} << 30) / layer, 1, kLayers);
    const auto cache = device_->allocate(layer * copies);
    const Step step(*device_, work);
    const std::int64_t tokens = work.sequences * work.tokens, group = shape.heads / shape.kv_heads;
    const bool few = work.tokens * group <= 16;
    const std::int64_t tiles = few ? tokens : ceil_div(tokens * group, 64);
    if (splits == 0)
      splits = !few ? 1
                    : std::clamp<std::int64_t>(3 * kCores / (shape.kv_heads * tiles), 1,
                                               std::max<std::int64_t>(work.context * shape.dim / 8192, 1));
    const std::size_t floats = static_cast<std::size_t>(tokens * shape.heads * shape.dim);
    const auto q = device_->allocate(floats * 4), y = device_->allocate(floats * 4);
    const auto sums = device_->allocate(floats * 4 * static_cast<std::size_t>(splits)),
               tops = device_->allocate(floats * 8 * static_cast<std::size_t>(splits)),
               bytes = device_->allocate(floats * 2 + 8192 * static_cast<std::size_t>(tokens));
    medlar::gpu::FlashParams p{};
    p.attention = {.heads = u32_of(shape.heads),
                   .kv_heads = u32_of(shape.kv_heads),
                   .k_dim = u32_of(shape.dim),
                   .v_dim = u32_of(shape.dim),
                   .k_row_bytes = u32_of(row),
                   .v_row_bytes = u32_of(row),
                   .k_page_bytes = static_cast<std::uint64_t>(page),
                   .v_page_bytes = static_cast<std::uint64_t>(page),
                   .scale = 0.1F,
                   .softcap = 0,
                   .window = 0,
                   .group = 0,
                   .has_sinks = 0,
                   .splits = u32_of(splits)};
    p.shared_heads = u32_of(group), p.per_shared_head = 1.0F / static_cast<float>(group);
    p.k_type = p.v_type = type.number;
    p.bytes = few;
    const auto* kernel =
        medlar::gpu::find_kernel(fmt::format("flash_{}_{}", few ? "few" : "tile", shape.dim));
    const auto* combine = medlar::gpu::find_kernel("flash_combine");
    std::vector<gpu::Dispatch> dispatches;
    for (int i = 0; i < kLayers; ++i) {
      const gpu::Binding k{cache.get(), layer * (static_cast<std::size_t>(i) % copies)},
          v{cache.get(), k.offset + layer / 2}, counts = step.at(0);
      dispatches.push_back({device_->pipeline(*kernel),
                            bytes_of(p),
                            {counts,
                             step.at(1),
                             step.at(2),
                             step.at(3),
                             step.at(4),
                             {q.get(), 0},
                             k,
                             v,
                             counts,
                             counts,
                             {y.get(), 0},
                             {sums.get(), 0},
                             {tops.get(), 0},
                             {bytes.get(), 0}},
                            {p.attention.kv_heads, u32_of(tiles), p.attention.splits},
                            kernel->threads,
                            true});
      if (splits > 1)
        dispatches.push_back(
            {device_->pipeline(*combine),
             bytes_of(p),
             {counts, {sums.get(), 0}, {tops.get(), 0}, counts, counts, {y.get(), 0}, {bytes.get(), 0}},
             {p.attention.heads, u32_of(tokens)},
             combine->threads,
             true});
    }
    const auto list = device_->record(std::move(dispatches));
    const double took = seconds(*list, *y) / kLayers;
    const auto read = static_cast<double>(work.sequences * work.context * row * 2 * shape.kv_heads);
    // Of every token's keys, half of the new ones on average.
    const double seen = static_cast<double>(tokens) *
                        (static_cast<double>(work.context) - static_cast<double>(work.tokens) / 2);
    fmt::print("| {} | {} | {} | {} | {} | {} | {:.2f} | {:.0f} | {:.1f} |\n", shape.name, type.name,
               work.sequences, work.tokens, work.context, splits, took * 1e6, read / took / 1e9,
               4 * seen * static_cast<double>(shape.heads * shape.dim) / took / 1e12);
    std::fflush(stdout);
  }

 private:
  // Counts, positions, sequences, runs and page tables, in device memory.
  class Step {
   public:
    Step(gpu::Device& device, const Work& w) {
      const std::int64_t stride = ceil_div(w.context, kernels::kPageTokens), tokens = w.sequences * w.tokens;
      medlar::gpu::StepCounts counts{};
      counts.tokens = static_cast<i32>(tokens), counts.runs = static_cast<i32>(w.sequences);
      counts.page_stride[0] = static_cast<i32>(stride);
      std::vector<std::vector<i32>> fields(5);
      fields[0].resize(sizeof counts / sizeof(i32));
      std::memcpy(fields[0].data(), &counts, sizeof counts);
      for (std::int64_t s = 0; s < w.sequences; ++s) {
        fields[3].push_back(static_cast<i32>(s * w.tokens));
        for (std::int64_t t = 0; t < w.tokens; ++t) {
          fields[1].push_back(static_cast<i32>(w.context - w.tokens + t));
          fields[2].push_back(static_cast<i32>(s));
        }
        for (std::int64_t p = 0; p < stride; ++p) fields[4].push_back(static_cast<i32>(s * stride + p));
      }
      fields[3].push_back(static_cast<i32>(tokens));
      for (const std::vector<i32>& f : fields) {
        buffers_.push_back(device.allocate(f.size() * sizeof(i32)));
        device.write(*buffers_.back(), 0, std::as_bytes(std::span(f)));
      }
    }
    gpu::Binding at(std::size_t field) const { return {buffers_[field].get(), 0}; }

   private:
    std::vector<std::unique_ptr<gpu::Buffer>> buffers_;
  };

  double seconds(gpu::CommandList& list, const gpu::Buffer& any) {
    std::vector<double> all;
    std::byte wait[4];
    for (int i = 0; i <= kRepetitions; ++i) {
      const auto start = std::chrono::steady_clock::now();
      device_->submit(list);
      device_->read(any, 0, wait);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      if (i > 0) all.push_back(took.count());  // the first warms up
    }
    std::ranges::sort(all);
    return all[all.size() / 2];
  }

  std::unique_ptr<gpu::Device> device_;
};

std::vector<Type> types_of(std::string_view names) {
  const std::vector<Type> all = {{"f32", DType::f32, medlar::gpu::kKvF32},
                                 {"f16", DType::f16, medlar::gpu::kKvF16},
                                 {"bf16", DType::bf16, medlar::gpu::kKvBf16},
                                 {"q8_0", DType::q8_0, medlar::gpu::kKvQ8_0},
                                 {"q4_0", DType::q4_0, medlar::gpu::kKvQ4_0}};
  std::vector<Type> chosen;
  for (const Type& t : all)
    if (fmt::format(",{},", names).find(fmt::format(",{},", t.name)) != std::string::npos)
      chosen.push_back(t);
  return chosen;
}

std::vector<std::int64_t> numbers(const std::string& list) {
  std::vector<std::int64_t> found;
  for (std::size_t at = 0; at < list.size(); at = std::min(list.find(',', at), list.size() - 1) + 1)
    found.push_back(std::atoi(list.c_str() + at));
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::string types = "q8_0,f16";
    std::vector<std::int64_t> splits = {0};
    for (int i = 1; i < argc; i += 2) {
      const std::string_view name = argv[i];
      if (i + 1 == argc || (name != "--types" && name != "--splits"))
        throw Error(ErrorKind::usage, fmt::format("unknown argument {}", name),
                    "usage: bench_gpu_attention [--types q8_0,f16] [--splits 0,16,48]");
      if (name == "--types") types = argv[i + 1];
      if (name == "--splits") splits = numbers(argv[i + 1]);
    }
    Bench bench;
    for (const Type& type : types_of(types))
      for (const Heads& shape : kHeads)
        for (const Work& work : kWorks)
          for (std::int64_t n : splits)
            if (n <= 1 || (work.tokens == 1 && n <= work.context / 64)) bench.run(shape, type, work, n);
    return 0;
  } catch (const Error& e) {
    fmt::print(stderr, "{}\n{}\n", e.what(), e.hint());
    return 1;
  }
}
