// Speed of kernel entries: decode beside the memory's read bandwidth, batches in operations a second.
//
//   bench_kernels --benchmark_filter='decode/avx512.*'
//
// Decode streams weights that no cache holds; every iteration also reads as many plain bytes, so `share`
// compares two times measured side by side and survives a noisy machine. Batches use weights that stay in
// cache.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/cpu_features.h"
#include "base/team.h"
#include "formats/all.h"
#include "kernels/cpu/table.h"

namespace medlar::kernels {
namespace {

constexpr std::int64_t kDepth = 2048;             // values in a row
constexpr std::int64_t kStreamBytes = 192 << 20;  // more than any cache
constexpr std::int64_t kBatchRows = 1024;         // weight rows of a batch's product
constexpr std::size_t kScratchBytes = 1 << 20;

// Processor seconds of the calling thread: other programs' turns do not count.
double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Runs fn(member) on the team; the slowest member's time.
template <class Fn>
double timed(Team& team, Fn fn) {
  std::vector<double> seconds(static_cast<std::size_t>(team.size()));
  team.run([&](int member) {
    const double start = thread_seconds();
    fn(member);
    seconds[static_cast<std::size_t>(member)] = thread_seconds() - start;
  });
  return *std::ranges::max_element(seconds);
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

// Rows of small weights of the type, repeated.
std::vector<std::byte> make_weights(DType type, std::int64_t rows) {
  const std::int64_t bytes = row_bytes(type, kDepth);
  std::vector<std::byte> weights(static_cast<std::size_t>(rows * bytes));
  std::vector<float> row(kDepth);
  for (std::int64_t j = 0; j < rows; ++j) {
    std::byte* to = weights.data() + j * bytes;
    if (j < 16) {
      for (std::size_t i = 0; i < row.size(); ++i)
        row[i] = std::sin(static_cast<float>(i * 7 + static_cast<std::size_t>(j)));
      encode_row(type, row.data(), to, kDepth);
    } else {
      std::memcpy(to, to - 16 * bytes, static_cast<std::size_t>(bytes));
    }
  }
  return weights;
}

std::vector<std::byte> make_activations(ActKind kind, std::int64_t rows) {
  std::vector<float> x(static_cast<std::size_t>(rows * kDepth));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::cos(static_cast<float>(i % 977));
  std::vector<std::byte> y(static_cast<std::size_t>(rows) * act_bytes(kind, kDepth) + 64);
  const auto address = reinterpret_cast<std::uintptr_t>(y.data());
  const PrepareArgs args{.x = x.data(),
                         .norm = false,
                         .norm_weight = nullptr,
                         .eps = 0,
                         .rows = RowCount::tokens,
                         .width = kDepth,
                         .kind = kind,
                         .batch = Batch::none,
                         .packed = false,
                         .y = y.data() + (64 - address % 64) % 64};
  Step step;
  step.tokens = static_cast<std::int32_t>(rows);
  CpuTable(CpuLevel::scalar, {}).find(KernelOp::prepare).step(&args, step, {});
  return y;
}

const std::byte* aligned(const std::vector<std::byte>& v) {
  const auto address = reinterpret_cast<std::uintptr_t>(v.data());
  return v.data() + (64 - address % 64) % 64;
}

// One word of every cache line, with the kernels' own prefetch: memory's speed, not the processor's.
std::uint64_t read_all(const std::byte* p, std::int64_t bytes) {
  std::uint64_t sums[4] = {};
  for (std::int64_t i = 0; i + 256 <= bytes; i += 256) {
    for (int line = 0; line < 4; ++line) {
      std::uint64_t word = 0;
      std::memcpy(&word, p + i + 64 * line, sizeof word);
      sums[line] += word;
      __builtin_prefetch(p + i + 64 * line + 6144);
    }
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

void decode(benchmark::State& state, const KernelEntry* entry) {
  const auto threads = static_cast<int>(state.range(0));
  Team team({.threads = threads});
  const std::int64_t bytes = row_bytes(entry->type, kDepth);
  const std::int64_t rows = kStreamBytes / bytes / threads * threads;
  const std::vector<std::byte> weights = make_weights(entry->type, rows);
  const std::vector<std::byte> x = make_activations(entry->act, 1);
  std::vector<float> y(static_cast<std::size_t>(rows));
  std::vector<double> reads, products;
  for (auto _ : state) {
    reads.push_back(timed(team, [&](int member) {
      const std::int64_t share = rows / threads * bytes;
      benchmark::DoNotOptimize(read_all(weights.data() + member * share, share));
    }));
    products.push_back(timed(team, [&](int member) {
      const std::int64_t n = rows / threads;
      entry->rows_dot({.weight = weights.data() + member * n * bytes,
                       .row_bytes = bytes,
                       .n = n,
                       .k = kDepth,
                       .x = aligned(x),
                       .rows = 1,
                       .y = y.data() + member * n,
                       .ldy = rows,
                       .scratch = {}});
    }));
    state.SetIterationTime(products.back());
  }
  const double total = static_cast<double>(rows * bytes);
  state.counters["GB/s"] = total / median(products) / 1e9;
  state.counters["read_GB/s"] = total / median(reads) / 1e9;
  std::vector<double> shares;
  for (std::size_t i = 0; i < reads.size(); ++i) shares.push_back(reads[i] / products[i]);
  state.counters["share"] = median(shares);
}

void batch(benchmark::State& state, const KernelEntry* entry) {
  const std::int64_t rows = state.range(0);
  const std::vector<std::byte> weights = make_weights(entry->type, kBatchRows);
  const std::vector<std::byte> x = make_activations(entry->act, rows);
  std::vector<float> y(static_cast<std::size_t>(rows * kBatchRows));
  std::vector<std::byte> scratch(kScratchBytes + 64);
  const std::span<std::byte> part{const_cast<std::byte*>(aligned(scratch)), kScratchBytes};
  for (auto _ : state) {
    entry->rows_dot({.weight = weights.data(),
                     .row_bytes = row_bytes(entry->type, kDepth),
                     .n = kBatchRows,
                     .k = kDepth,
                     .x = aligned(x),
                     .rows = rows,
                     .y = y.data(),
                     .ldy = kBatchRows,
                     .scratch = part});
    benchmark::ClobberMemory();
  }
  state.counters["GOP/s"] =
      benchmark::Counter(2e-9 * static_cast<double>(kBatchRows * kDepth * rows * state.iterations()),
                         benchmark::Counter::kIsRate);
}

// One token (or a block of them) against a context, all heads on one thread.
void attend(benchmark::State& state, const KernelEntry* entry) {
  const std::int64_t tokens = state.range(0), context = state.range(1);
  constexpr std::int64_t kHeads = 32, kKvHeads = 8, kDim = 64;
  const std::int64_t row = row_bytes(entry->type, kDim), pages = (context + kPageTokens - 1) / kPageTokens;
  KvPages layout{.base = nullptr,
                 .type = entry->type,
                 .heads = kKvHeads,
                 .dim = kDim,
                 .row_bytes = row,
                 .page_bytes = row * kKvHeads * kPageTokens};
  std::vector<std::byte> k(static_cast<std::size_t>(pages * layout.page_bytes));
  const std::vector<float> values(kDim, 0.1f);
  for (std::size_t at = 0; at < k.size(); at += static_cast<std::size_t>(row)) {
    encode_row(entry->type, values.data(), &k[at], kDim);
  }
  std::vector<std::byte> v = k;
  std::vector<float> q(static_cast<std::size_t>(tokens * kHeads * kDim), 0.2f), y = q;
  std::vector<std::int32_t> table(static_cast<std::size_t>(pages)),
      positions(static_cast<std::size_t>(tokens));
  std::vector<std::int32_t> sequences(positions.size());
  std::iota(table.begin(), table.end(), 0);
  std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(context - tokens));
  Step step{.tokens = static_cast<std::int32_t>(tokens),
            .positions = positions.data(),
            .sequences = sequences.data()};
  step.pages[0] = {table.data(), static_cast<std::int32_t>(pages)};
  AttentionArgs args{.q = q.data(),
                     .heads = kHeads,
                     .k = layout,
                     .v = layout,
                     .group = 0,
                     .scale = 0.125f,
                     .softcap = 0,
                     .window = 0,
                     .sinks = nullptr,
                     .tiles = false,
                     .y = y.data(),
                     .partials = nullptr};
  args.k.base = k.data(), args.v.base = v.data();
  std::vector<std::byte> scratch(entry->scratch(&args, static_cast<int>(tokens)) + 64);
  const Slice slice{.scratch = {const_cast<std::byte*>(aligned(scratch)), scratch.size() - 64}};
  for (auto _ : state) entry->step(&args, step, slice);
  const double work = static_cast<double>(state.iterations());
  state.counters["KV_GB/s"] =
      benchmark::Counter(2e-9 * static_cast<double>(k.size()) * work, benchmark::Counter::kIsRate);
  state.counters["GOP/s"] = benchmark::Counter(
      4e-9 * static_cast<double>(tokens * context * kHeads * kDim) * work, benchmark::Counter::kIsRate);
}

void add_benchmarks() {
  const CpuFeatures features = detect_cpu_features();
  for (const Isa isa : kIsas) {
    if (!runs_here(isa, features)) continue;
    for (const KernelEntry& e : cpu_entries(isa)) {
      const std::string name(e.name);
      if (e.op == KernelOp::rows_dot) {
        benchmark::RegisterBenchmark(("decode/" + name).c_str(), decode, &e)
            ->ArgName("threads")
            ->Arg(1)
            ->Arg(2)
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
        benchmark::RegisterBenchmark(("batch/" + name).c_str(), batch, &e)
            ->ArgName("rows")
            ->Arg(2)
            ->Arg(4)
            ->Arg(8)
            ->Arg(16)
            ->Arg(64)
            ->Arg(512)
            ->Unit(benchmark::kMillisecond);
      }
      if (e.op == KernelOp::attention) {
        benchmark::RegisterBenchmark(("attend/" + name).c_str(), attend, &e)
            ->ArgNames({"tokens", "context"})
            ->Args({1, 1024})
            ->Args({1, 8192})
            ->Args({1, 65536})
            ->Args({512, 1024})
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
}

}  // namespace
}  // namespace medlar::kernels

int main(int argc, char** argv) {
  medlar::kernels::add_benchmarks();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
