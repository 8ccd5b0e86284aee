// Speed of the products for many rows on an NVIDIA GPU, over the shapes of models of 8B and 1B, in TFLOP/s:
// tiles that decode weights as they come, in some numbers of parts, and on compute capability 9.0 tiles of
// unpacked weights, with and without their unpacking.
//
//   bench_gpu_tiles [--formats q4_k,f16] [--rows 32,64,128,512,2048]
//
// Each is a chain of dispatches, one after the other, over copies of its matrices that no cache holds.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "formats/all.h"
#include "kernels/gpu/params.h"
#include "runtime/cuda/device.h"

namespace {

using namespace medlar;  // NOLINT
namespace gpu = medlar::runtime::gpu;
using medlar::gpu::kSwizzledBytes;
using medlar::gpu::kSwizzledColumns;
using medlar::gpu::kSwizzledRows;

constexpr std::size_t kWeightBytes = std::size_t{1} << 30;  // more than any cache
constexpr std::size_t kRoom = std::size_t{512} << 20;       // for rows of x, of y, and sums of parts, each
constexpr int kRepetitions = 5, kChain = 8;
constexpr std::uint32_t kCores = 132;

struct Options {
  std::vector<std::string> formats = {"q4_k", "f16"};
  std::vector<std::int64_t> rows = {32, 64, 128, 512, 2048};
};

struct Product {
  const char* name;
  std::int64_t n, k;
  bool glu = false;
};
constexpr Product kProducts[] = {{"8B qkv", 6144, 4096},
                                 {"8B output", 4096, 4096},
                                 {"8B gate and up", 14336, 4096, true},
                                 {"8B down", 4096, 14336},
                                 {"1B gate and up", 8192, 2048, true},
                                 {"1B down", 2048, 8192}};

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
    for (auto* buffer : {&weights_, &unpacked_}) *buffer = random_halves(kWeightBytes + kRoom);
    x_ = random_halves(kRoom), y_ = device_->allocate(kRoom), sums_ = device_->allocate(kRoom);
    counts_ = device_->allocate(kRoom / 8);  // and, zero, scales
    fmt::print("{}\n| product | weights | rows | kernel | us | TFLOP/s |\n|---|---|--:|---|--:|--:|\n",
               device_->name());
  }

  void run(const Product& product, const std::string& format, std::int64_t rows) {
    const medlar::gpu::StepCounts counts{static_cast<std::int32_t>(rows), 1, {}};
    device_->write(*counts_, 0, std::as_bytes(std::span(&counts, 1)));
    product_ = &product, format_ = format, rows_ = rows, type_ = type_of(format);
    if (rows <= 512)
      for (std::int64_t parts : {1, 2, 4, 8, 16})
        if (product.k / parts >= 256 && parts * rows * matrix_rows() * 4 <= std::int64_t{kRoom}) tiles(parts);
    if (rows <= 64)
      for (std::int64_t parts : {1, 2, 3, 4, 6, 8, 12, 16})
        if (product.k / parts >= 256) in_registers(parts);
    if (rows < 32) return;
    unpack();
    if (!product.glu) wgmma(1);
    wgmma(2);
  }

 private:
  // Plausible f16 values: magnitudes around 1, of either sign. What they are decides about the GPU's clock.
  std::unique_ptr<gpu::Buffer> random_halves(std::size_t bytes) {
    constexpr std::size_t kPiece = std::size_t{16} << 20;
    std::mt19937 random(1);
    std::vector<std::uint16_t> piece(kPiece / 2);
    for (auto& v : piece) v = static_cast<std::uint16_t>((random() & 0x83FFU) | (13U + random() % 3) << 10);
    auto buffer = device_->allocate(bytes);
    for (std::size_t at = 0; at < bytes; at += kPiece)
      device_->write(*buffer, at, std::as_bytes(std::span(piece)).first(std::min(kPiece, bytes - at)));
    return buffer;
  }

  gpu::Dispatch dispatch(const std::string& name, std::vector<std::byte> params,
                         std::vector<gpu::Binding> buffers, gpu::Extent grid) {
    const auto* info = medlar::gpu::find_kernel(name);
    if (!info) fail(ErrorKind::unsupported, "there is no kernel {}", name);
    return {device_->pipeline(*info), std::move(params), std::move(buffers), grid, info->threads, true};
  }

  // Copy i of the matrices, of `bytes` each.
  static std::size_t copy(int i, std::int64_t bytes) {
    const auto room = std::max<std::size_t>(kWeightBytes / static_cast<std::size_t>(bytes), 1);
    return static_cast<std::size_t>(i) % room * static_cast<std::size_t>(bytes);
  }

  medlar::gpu::LinearParams linear() const {
    return {medlar::gpu::kRowsTokens,
            u32_of(matrix_rows()),
            u32_of(product_->k),
            u32_of(row_bytes(type_, product_->k)),
            0,
            0};
  }
  std::int64_t matrix_rows() const { return product_->n * (product_->glu ? 2 : 1); }

  void tiles(std::int64_t parts) { by("linear_tile_" + format_, 64, 64, parts); }
  void in_registers(std::int64_t parts) {
    const int most = rows_ <= 16 ? 16 : rows_ <= 32 ? 32 : 64;
    by(fmt::format("linear_rows_{}_{}", format_, most), 64, most, parts);
  }

  void by(const std::string& kernel, std::int64_t width, std::int64_t height, std::int64_t parts) {
    const std::int64_t columns = ceil_div(ceil_div(product_->k, parts), 256) * 256, n = matrix_rows();
    parts = ceil_div(product_->k, columns);
    const medlar::gpu::TileParams p{linear(), u32_of(parts), u32_of(columns), u32_of(rows_), 1};
    std::vector<gpu::Dispatch> list;
    for (int i = 0; i < kChain; ++i) {
      const gpu::Binding w{weights_.get(), copy(i, n * row_bytes(type_, product_->k))},
          scales{counts_.get(), 4096};
      list.push_back(
          dispatch(kernel, bytes_of(p),
                   {{counts_.get(), 0}, {x_.get(), 0}, scales, w, scales, scales, {sums_.get(), 0}},
                   {u32_of(ceil_div(n, width)), u32_of(ceil_div(rows_, height)), u32_of(parts)}));
      if (parts > 1)
        list.push_back(dispatch("linear_sum", bytes_of(p),
                                {{counts_.get(), 0}, {sums_.get(), 0}, scales, scales, {y_.get(), 0}},
                                {u32_of(ceil_div(n, 256)), u32_of(rows_)}));
    }
    report(fmt::format("{}, {} parts", kernel, parts), std::move(list));
  }

  void unpack() {
    const std::int64_t n = matrix_rows(), k_tiles = ceil_div(product_->k, kSwizzledColumns);
    const medlar::gpu::UnpackParams p{
        u32_of(n), 0, u32_of(product_->k), u32_of(row_bytes(type_, product_->k)), u32_of(k_tiles), 1};
    std::vector<gpu::Dispatch> list;
    for (int i = 0; i < kChain; ++i)
      list.push_back(dispatch(fmt::format("unpack_{}", format_), bytes_of(p),
                              {{weights_.get(), copy(i, n * row_bytes(type_, product_->k))},
                               {unpacked_.get(), copy(i, ceil_div(n, 256) * 2 * k_tiles * kSwizzledBytes)}},
                              {u32_of(ceil_div(n, 8))}));
    report("unpack", std::move(list));
    unpacked_ = random_halves(kWeightBytes + kRoom);
  }

  void wgmma(std::int64_t halves) {
    const std::int64_t n = product_->n, k_tiles = ceil_div(product_->k, kSwizzledColumns);
    const std::int64_t n_tiles = ceil_div(n, (product_->glu ? 1 : halves) * kSwizzledRows);
    const std::int64_t bytes = ceil_div(n, 256) * 2 * k_tiles * kSwizzledBytes;
    const std::uint32_t groups = std::min(u32_of(n_tiles * ceil_div(rows_, kSwizzledRows)), kCores);
    const medlar::gpu::WgmmaParams p{.rows = medlar::gpu::kRowsTokens,
                                     .n = u32_of(n),
                                     .first = 0,
                                     .part = u32_of(n),
                                     .n_tiles = u32_of(n_tiles),
                                     .k_tiles = u32_of(k_tiles),
                                     .groups = groups,
                                     .glu = product_->glu,
                                     .activation = medlar::gpu::kActivationSilu,
                                     .has_bias = 0,
                                     .has_residual = 0};
    std::vector<gpu::Dispatch> list;
    for (int i = 0; i < kChain; ++i) {
      const gpu::Binding w{unpacked_.get(), copy(i, bytes * 2)}, scales{counts_.get(), 4096};
      const gpu::Binding second{unpacked_.get(),
                                w.offset + (product_->glu ? static_cast<std::size_t>(bytes) : 0)};
      list.push_back(dispatch(
          fmt::format("linear_wgmma_{}", halves), bytes_of(p),
          {{counts_.get(), 0}, {x_.get(), 0}, scales, w, second, scales, scales, {y_.get(), 0}}, {groups}));
    }
    report(fmt::format("linear_wgmma_{}", halves), std::move(list));
  }

  void report(const std::string& kernel, std::vector<gpu::Dispatch> dispatches) {
    const auto list = device_->record(std::move(dispatches));
    std::vector<double> all;
    std::byte wait[4];
    for (int i = 0; i <= kRepetitions; ++i) {
      const auto start = std::chrono::steady_clock::now();
      device_->submit(*list);
      device_->read(*counts_, 0, wait);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      if (i > 0) all.push_back(took.count() / kChain);  // the first warms up
    }
    std::ranges::sort(all);
    const double took = all[all.size() / 2];
    const double work = 2.0 * static_cast<double>(rows_ * matrix_rows() * product_->k);
    fmt::print("| {} | {} | {} | {} | {:.1f} | {:.1f} |\n", product_->name, format_, rows_, kernel,
               took * 1e6, work / took / 1e12);
    std::fflush(stdout);
  }

  static DType type_of(std::string_view name) {
    DType found = DType::f32;
    formats::for_each_format([&]<formats::Format F>(F) {
      if (F::info.name == name) found = F::info.type;
    });
    return found;
  }

  std::unique_ptr<gpu::Device> device_;
  std::unique_ptr<gpu::Buffer> weights_, unpacked_, x_, y_, sums_, counts_;
  const Product* product_ = nullptr;
  std::string format_;
  std::int64_t rows_ = 0;
  DType type_ = DType::f32;
};

std::vector<std::string> split(std::string rest) {
  std::vector<std::string> parts;
  for (std::size_t comma = 0; comma != std::string::npos; rest.erase(0, comma + 1)) {
    comma = rest.find(',');
    parts.push_back(rest.substr(0, comma));
    if (comma == std::string::npos) break;
  }
  return parts;
}

Options parse(const std::vector<std::string>& args) {
  Options options;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--formats" && i + 1 < args.size()) {
      options.formats = split(args[++i]);
    } else if (args[i] == "--rows" && i + 1 < args.size()) {
      options.rows.clear();
      for (const std::string& rows : split(args[++i]))
        options.rows.push_back(std::clamp(std::atoi(rows.c_str()), 1, 4096));
    } else {
      throw Error(ErrorKind::usage, "unknown argument " + args[i],
                  "usage: bench_gpu_tiles [--formats q4_k,f16] [--rows 32,512]");
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse({argv + 1, argv + argc});
    Bench bench;
    for (const std::int64_t rows : options.rows)
      for (const std::string& format : options.formats)
        for (const Product& product : kProducts) bench.run(product, format, rows);
    return 0;
  } catch (const Error& e) {
    fmt::print(stderr, "{}\n{}\n", e.what(), e.hint());
    return 1;
  }
}
