// Speed of the products for few rows on an NVIDIA GPU, over the shapes of models of 8B and 1B: bytes of
// weights a second, and their share of what a kernel that only reads reaches in the same run.
//
//   bench_gpu [--formats q4_k,q6_k,q8_0,q4_0,f16] [--rows 1]
//
// Each product is a chain of dispatches over copies of its matrices that no cache holds, each after the one
// before, as in decoding; so launches count, and what a kernel does before it waits helps. A layer is the
// chain of its products in turn.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "formats/all.h"
#include "kernels/gpu/params.h"
#include "runtime/cuda/device.h"
#include "runtime/gpu/lower_few.h"

namespace {

using namespace medlar;  // NOLINT
namespace gpu = medlar::runtime::gpu;

constexpr std::size_t kStreamBytes = std::size_t{4} << 30;  // more than any cache
constexpr int kRepetitions = 7;

struct Options {
  std::vector<std::string> formats = {"q4_k", "q6_k", "q8_0", "q4_0", "f16"};
  int rows = 1;
};

struct Product {
  const char* name;
  std::int64_t n, k;
  bool glu = false, bytes = true;  // the result is also stored as bytes
};
constexpr Product kProducts[] = {
    {"8B qkv", 6144, 4096, false, false},
    {"8B output", 4096, 4096},
    {"8B gate and up", 14336, 4096, true},
    {"8B down", 4096, 14336},
    {"8B head", 128256, 4096, false, false},
    {"1B qkv", 3072, 2048, false, false},
    {"1B output", 2048, 2048},
    {"1B gate and up", 8192, 2048, true},
    {"1B down", 2048, 8192},
};
// The products of a layer, after each other.
constexpr std::span<const Product> k8B(kProducts, 4), k1B(kProducts + 5, 4);

// Reads as it is fastest: 16 bytes a thread, a few at a time; what it finds decides about a store that never
// happens.
const gpu::KernelInfo kRead{
    "read_only", "kernels/gpu/linear_few.h",
    "KERNEL(512) read_only(PARAMS(QuantizeParams, p), IN(1, u8, x), OUT(2, u32, y) GRID) {\n"
    "  GRID_BEGIN\n"
    "  u32 sum = 0;\n"
    "  const u64 first = ((u64)gk_tgid.x * 512 + gk_tid) * 16, step = (u64)p.dim * 512 * 16;\n"
    "  for (u32 i = 0; i < p.rows; i += 8) {\n"
    "    u32 w[8][4];\n"
    "    UNROLL for (u32 j = 0; j < 8; ++j) ld_weight_u32x4(x + first + (i + j) * step, w[j]);\n"
    "    UNROLL for (u32 j = 0; j < 8; ++j) sum += w[j][0] ^ w[j][1] ^ w[j][2] ^ w[j][3];\n"
    "  }\n"
    "  if (sum == 0x12345678u) y[0] = sum;\n"
    "}\n",
    512};

template <class Params>
std::vector<std::byte> bytes_of(const Params& params) {
  std::vector<std::byte> bytes(sizeof params);
  std::memcpy(bytes.data(), &params, sizeof params);
  return bytes;
}

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[v.size() / 2];
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), device_(runtime::make_cuda_device()) {
    weights_ = device_->allocate(kStreamBytes + kStreamBytes / 8);
    activations_ = device_->allocate(std::size_t{64} << 20);
    const medlar::gpu::StepCounts counts{options.rows, options.rows, {}};
    device_->write(*activations_, 0, std::as_bytes(std::span(&counts, 1)));
    fmt::print("{}, rows of x: {}\n", device_->name(), options.rows);
  }

  void run() {
    const double read = read_speed();
    fmt::print("reads only: {:.0f} GB/s\n\n", read / 1e9);
    fmt::print("| product | kernel | GB/s | share | us |\n|---|---|--:|--:|--:|\n");
    for (const std::string& format : options_.formats) {
      for (const Product& product : kProducts) measure(product.name, {&product, 1}, format, read);
      measure("8B layer", k8B, format, read);
      measure("1B layer", k1B, format, read);
    }
  }

 private:
  static constexpr std::size_t kX = 4096, kY = std::size_t{16} << 20;  // in activations_

  double seconds(gpu::CommandList& list) {
    std::vector<double> all;
    std::byte wait[4];
    for (int i = 0; i <= kRepetitions; ++i) {
      const auto start = std::chrono::steady_clock::now();
      device_->submit(list);
      device_->read(*activations_, 0, wait);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      if (i > 0) all.push_back(took.count());  // the first warms up
    }
    return median(all);
  }

  double read_speed() {
    constexpr std::uint32_t kGroups = 132 * 8;
    const auto rounds = static_cast<std::uint32_t>(kStreamBytes / (kGroups * 512 * 16)) / 8 * 8;
    std::vector<gpu::Dispatch> dispatches;
    for (int i = 0; i < 4; ++i)
      dispatches.push_back({device_->pipeline(kRead),
                            bytes_of(medlar::gpu::QuantizeParams{rounds, kGroups, 0}),
                            {{weights_.get(), 0}, {activations_.get(), kY}},
                            {kGroups},
                            512,
                            true});
    const auto list = device_->record(std::move(dispatches));
    return 4.0 * rounds * kGroups * 512 * 16 / seconds(*list);
  }

  // What the engine would take.
  gpu::KernelInfo kernel_for(const std::string& format) const {
    const std::string name =
        options_.rows == 1 ? fmt::format("linear_one_{}", format) : fmt::format("linear_few_{}", format);
    const auto* found = medlar::gpu::find_kernel(name);
    if (!found) fail(ErrorKind::unsupported, "there is no format {}", format);
    return *found;
  }

  void measure(const std::string& name, std::span<const Product> products, const std::string& format,
               double read) {
    double bytes = 0;
    for (const Product& product : products) bytes += static_cast<double>(weight_bytes(product, format));
    const double took = chain(products, format);
    fmt::print("| {} | {} | {:.0f} | {:.0f} % | {:.1f} |\n", name, kernel_for(format).name,
               bytes / took / 1e9, 100 * bytes / took / read, took * 1e6);
    std::fflush(stdout);
  }

  static std::int64_t weight_bytes(const Product& product, const std::string& format) {
    return row_bytes(type_of(format), product.k) * product.n * (product.glu ? 2 : 1);
  }

  // Seconds that these products take after each other, each with weights that no cache has.
  double chain(std::span<const Product> products, const std::string& format) {
    std::int64_t bytes = 0;
    for (const Product& product : products) bytes += weight_bytes(product, format);
    const auto copies = std::max<std::int64_t>(1, static_cast<std::int64_t>(kStreamBytes) / bytes);
    const gpu::KernelInfo info = kernel_for(format);
    const gpu::Pipeline pipeline = device_->pipeline(info);
    std::vector<gpu::Dispatch> dispatches;
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < copies; ++i)
      for (const Product& product : products) {
        dispatches.push_back(dispatch(info, pipeline, product, format, static_cast<std::size_t>(at)));
        at += weight_bytes(product, format);
      }
    const auto list = device_->record(std::move(dispatches));
    return seconds(*list) / static_cast<double>(copies);
  }

  gpu::Dispatch dispatch(const gpu::KernelInfo& kernel, gpu::Pipeline pipeline, const Product& product,
                         const std::string& format, std::size_t at) {
    const std::int64_t row = row_bytes(type_of(format), product.k);
    medlar::gpu::FewParams p{};
    p.rows = medlar::gpu::kRowsTokens;
    p.n[0] = static_cast<std::uint32_t>(product.n);
    if (product.glu) p.n[1] = p.n[0], p.glu = 1, p.activation = medlar::gpu::kActivationSilu;
    p.k = static_cast<std::uint32_t>(product.k);
    p.row_bytes = static_cast<std::uint32_t>(row);
    p.bytes = product.bytes;
    const bool one = kernel.shared_bytes > 0;
    if (one) p.groups = gpu::one_groups(p, type_of(format), device_->cores());
    const std::uint32_t grid = one ? p.groups : static_cast<std::uint32_t>((product.n + 31) / 32);
    const gpu::Binding a{weights_.get(), at};
    const gpu::Binding b{weights_.get(), at + (product.glu ? static_cast<std::size_t>(row * product.n) : 0)};
    const gpu::Binding y{activations_.get(), kY}, z{activations_.get(), 2 * kY};
    return {pipeline,
            bytes_of(p),
            {{activations_.get(), 0}, {activations_.get(), kX}, a, b, a, a, a, a, a, a, a, y, y, y, z},
            {grid},
            kernel.threads,
            true};
  }

  static DType type_of(std::string_view name) {
    DType found = DType::f32;
    formats::for_each_format([&]<formats::Format F>(F) {
      if (F::info.name == name) found = F::info.type;
    });
    return found;
  }

  const Options options_;
  std::unique_ptr<gpu::Device> device_;
  std::unique_ptr<gpu::Buffer> weights_, activations_;
};

Options parse(std::vector<std::string> args) {
  Options options;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--rows" && i + 1 < args.size()) {
      options.rows = std::clamp(std::atoi(args[++i].c_str()), 1, 4);
    } else if (args[i] == "--formats" && i + 1 < args.size()) {
      options.formats.clear();
      std::string rest = args[++i];
      for (std::size_t comma = 0; comma != std::string::npos; rest.erase(0, comma + 1)) {
        comma = rest.find(',');
        options.formats.push_back(rest.substr(0, comma));
        if (comma == std::string::npos) break;
      }
    } else {
      throw Error(ErrorKind::usage, "unknown argument " + args[i],
                  "usage: bench_gpu [--formats q4_k,q8_0] [--rows 1]");
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Bench(parse({argv + 1, argv + argc})).run();
    return 0;
  } catch (const Error& e) {
    fmt::print(stderr, "{}\n{}\n", e.what(), e.hint());
    return 1;
  }
}
