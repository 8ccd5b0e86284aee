#include "tests/kernels/support.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/all.h"
#include "kernels/cpu/isas.h"
#include "kernels/cpu/table.h"
#include "tests/kernels/factor.h"

#if defined(MEDLAR_HAS_EMULATED_TILES)
namespace medlar::kernels::amx_emulated {
std::span<const KernelEntry> entries();
}
#endif

namespace medlar::kernels::testing {

namespace {

constexpr std::byte kPattern{0xA5};

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

float f16(std::uint16_t bits) { return formats::f16_bits_to_f32(bits); }

}  // namespace

std::uint64_t Rng::next() {
  std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}

float Rng::uniform() { return static_cast<float>(next() >> 40) * 0x1p-24f; }

float Rng::normal() {
  float sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform();
  return sum;
}

std::vector<float> Rng::normals(std::int64_t n, float scale) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& v : values) v = scale * normal();
  return values;
}

std::vector<float> Rng::heavy_tailed(std::int64_t n) {
  std::vector<float> values = normals(n);
  for (float& v : values) {
    if (below(40) == 0) v *= 30;
  }
  return values;
}

Guarded::Guarded(std::int64_t bytes, std::size_t alignment) : size_(static_cast<std::size_t>(bytes)) {
  const std::size_t page = page_size();
  const std::size_t used = (size_ + alignment - 1) / alignment * alignment;
  map_bytes_ = (used + page - 1) / page * page + 2 * page;
  void* map = mmap(nullptr, map_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) std::abort();
  map_ = static_cast<std::byte*>(map);
  data_ = map_ + map_bytes_ - page - used;
  std::fill(map_, map_ + map_bytes_, kPattern);
  mprotect(map_, page, PROT_NONE);
  mprotect(map_ + map_bytes_ - page, page, PROT_NONE);
}

Guarded::Guarded(const std::vector<float>& values, std::size_t alignment)
    : Guarded(static_cast<std::int64_t>(values.size() * sizeof(float)), alignment) {
  std::ranges::copy(values, floats());
}

Guarded::~Guarded() { munmap(map_, map_bytes_); }

bool Guarded::intact() const {
  const std::size_t page = page_size();
  const auto whole = [](const std::byte* from, const std::byte* to) {
    return std::all_of(from, to, [](std::byte b) { return b == kPattern; });
  };
  return whole(map_ + page, data_) && whole(data_ + size_, map_ + map_bytes_ - page);
}

std::vector<std::byte> random_weights(DType type, std::int64_t rows, std::int64_t k, Rng& rng) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows * row_bytes(type, k)));
  for (std::byte& b : bytes) b = static_cast<std::byte>(rng.next());
  formats::visit(type, [&]<formats::Format F>(F) {
    using Block = typename F::Block;
    // The largest code times the largest sub-scale is near this, for types that have one.
    constexpr float kTop = requires(Block b) { b.scales; } ? 2000.0f : 16.0f;
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(Block)) {
      Block b;
      std::memcpy(&b, &bytes[at], sizeof b);
      const auto factor = [&](float top) {
        return formats::f32_to_f16_bits((rng.uniform() - 0.5f) * 4 / top);
      };
      if constexpr (requires { set_factor(b, 0); }) set_factor(b, factor(kTop));
      if constexpr (requires { b.m; }) b.m = factor(1);
      if constexpr (requires { b.dmin; }) b.dmin = factor(32);
      if constexpr (requires { b.exponent; }) b.exponent = static_cast<std::uint8_t>(122 + rng.below(6));
      if constexpr (F::info.block_length == 1) {
        const float v = rng.normal();
        encode(&v, &b);
      }
      std::memcpy(&bytes[at], &b, sizeof b);
    }
  });
  return bytes;
}

double offset_bound(DType type, const std::byte* block) {
  return formats::visit(type, [&]<formats::Format F>(F) -> double {
    typename F::Block b;
    std::memcpy(&b, block, sizeof b);
    if constexpr (requires { b.m; }) return std::abs(f16(b.m));
    if constexpr (requires { b.dmin; }) return 63.0 * std::abs(f16(b.dmin));
    if constexpr (requires { b.exponent; }) return 12.0 * std::ldexp(1.0, b.exponent - 128);
    if constexpr (std::is_same_v<F, formats::Nvfp4>)
      return 12.0 * formats::half_e4m3(*std::ranges::max_element(b.scales, {}, formats::half_e4m3));
    if constexpr (std::is_same_v<F, formats::Iq1_M>) return 9 * 15 / 8.0 * std::abs(f16(scale_bits(&b)));
    if constexpr (requires { b.d; }) {
      const double d = std::abs(f16(b.d));
      switch (type) {
        case DType::q4_0:
          return 8 * d;
        case DType::q5_0:
          return 16 * d;
        case DType::q3_k:
          return 4 * 32 * d;
        case DType::q6_k:
          return 32 * 128 * d;
        case DType::iq4_xs:
          return 128 * 32 * d;
        case DType::iq2_s:
        case DType::iq2_xs:
        case DType::iq2_xxs:
          return 43 * 15.5 / 4 * d;
        case DType::iq3_xxs:
          return 62 * 15.5 / 2 * d;
        case DType::iq3_s:
          return 15 * 31 * d;
        default:
          return 128 * d;
      }
    }
    return 0;
  });
}

double dot_bound(Leaf leaf, const std::byte* row, std::span<const float> w, std::span<const float> x) {
  const FormatInfo& info = format_info(leaf.type);
  const auto block = static_cast<std::size_t>(info.block_length);
  double magnitude = 0;
  for (std::size_t b = 0; b < w.size(); b += block) {
    const std::byte* bytes = row + b / block * static_cast<std::size_t>(info.block_bytes);
    const double offset = offset_bound(leaf.type, bytes);
    for (std::size_t i = b; i < b + block; ++i) magnitude += (std::abs(w[i]) + 2 * offset) * std::abs(x[i]);
  }
  const bool by_value = leaf.act == ActKind::f32 || leaf.isa == Isa::scalar;
  const double steps = static_cast<double>(w.size()) / (by_value ? lanes(leaf.isa) : 16) + 24;
  return steps * kUlp * magnitude + 1e-37;
}

float bf16_at(const std::byte* p) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, p, sizeof bits);
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

float tiled_value(const std::byte* tiles, std::int64_t width, std::int64_t m, std::int64_t k) {
  const std::byte* tile = tiles + (m / 16 * (width / 32) + k / 32) * 1024;
  return bf16_at(tile + k % 16 * 64 + m % 16 * 4 + k % 32 / 16 * 2);
}

double tile_bound(DType type, const std::byte* row, std::span<const float> w, std::span<const float> x) {
  const FormatInfo& info = format_info(type);
  const auto block = static_cast<std::size_t>(info.block_length);
  constexpr double kHalf = 0x1p-8;  // of one rounding to bf16
  double bound = 0;
  for (std::size_t b = 0; b < w.size(); b += block) {
    const double offset = offset_bound(type, row + b / block * static_cast<std::size_t>(info.block_bytes));
    double top = 0;
    for (std::size_t i = b; i < b + block; ++i) top = std::max(top, std::abs(static_cast<double>(w[i])));
    for (std::size_t i = b; i < b + block; ++i) {
      const double value = std::abs(static_cast<double>(w[i]));
      const double weight_error = kHalf * value + 2 * 300 * kUlp * (offset + top);
      bound += (weight_error + (value + weight_error) * kHalf) * std::abs(x[i]);
      bound += static_cast<double>(w.size()) * kUlp * value * std::abs(x[i]);
    }
  }
  return bound + 1e-37;
}

std::vector<std::span<const KernelEntry>> tables_here() {
  std::vector<std::span<const KernelEntry>> tables;
  for (const Isa isa : isas_here()) tables.push_back(cpu_entries(isa));
#if defined(MEDLAR_HAS_EMULATED_TILES)
  const CpuFeatures features = detect_cpu_features();
  if (!runs_here(Isa::amx, features) && runs_here(Isa::avx512, features) && features.avx512vbmi)
    tables.push_back(amx_emulated::entries());
#endif
#if defined(MEDLAR_HAS_CBLAS)
  if (runs_here(Isa::avx2, detect_cpu_features())) tables.push_back(accelerate::entries());
#endif
  return tables;
}

std::span<const KernelEntry> table_of(const KernelEntry& entry) {
  for (const std::span<const KernelEntry> table : tables_here())
    if (!std::less<>()(&entry, table.data()) && std::less<>()(&entry, table.data() + table.size()))
      return table;
  return {};
}

std::vector<Isa> isas_here() {
  const CpuFeatures features = detect_cpu_features();
  std::vector<Isa> isas;
  for (const Isa isa : kIsas) {
    if (runs_here(isa, features) && !cpu_entries(isa).empty()) isas.push_back(isa);
  }
  return isas;
}

int lanes(Isa isa) {
  switch (isa) {
    case Isa::avx512:
    case Isa::amx:
      return 16;
    case Isa::avx2:
    case Isa::avx2_vnni:
      return 8;
    case Isa::neon:
    case Isa::neon_i8mm:
      return 4;
    default:
      return 1;
  }
}

const KernelEntry& entry_for(Isa isa, KernelOp op, DType type) {
  for (const Isa from : {isa == Isa::amx ? Isa::avx512 : isa, Isa::scalar}) {
    for (const KernelEntry& e : cpu_entries(from)) {
      if (e.op == op && e.type == type) return e;
    }
  }
  std::abort();
}

RowsDotFn leaf_for(Isa isa, DType type, ActKind act) {
  for (const KernelEntry& e : cpu_entries(isa == Isa::amx ? Isa::avx512 : isa)) {
    if (e.op == KernelOp::rows_dot && e.type == type && e.act == act) return e.rows_dot;
  }
  return nullptr;
}

void run(const KernelEntry& entry, const void* args, const Step& step, int threads) {
  const std::size_t bytes = entry.scratch ? entry.scratch(args, step.tokens) : 0;
  for (int i = 0; i < threads; ++i) {
    const Guarded scratch(static_cast<std::int64_t>(bytes), 64);
    std::ranges::fill(scratch.bytes(), std::byte{0xFF});
    entry.step(args, step, {.index = i, .count = threads, .scratch = scratch.bytes()});
    ASSERT_TRUE(scratch.intact()) << entry.name << " overran its scratch";
  }
}

SimpleStep::SimpleStep(std::int64_t tokens, std::int64_t first)
    : ids(static_cast<std::size_t>(tokens)), positions(ids.size()), sequences(ids.size()), rows(ids.size()) {
  std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(first));
  std::iota(rows.begin(), rows.end(), 0);
  step = {.tokens = static_cast<std::int32_t>(tokens),
          .logit_rows = static_cast<std::int32_t>(tokens),
          .token_ids = ids.data(),
          .positions = positions.data(),
          .sequences = sequences.data(),
          .rows = rows.data(),
          .pages = {}};
}

int expect_near(std::span<const float> got, std::span<const float> want,
                const std::function<double(std::size_t)>& bound, const std::string& what) {
  EXPECT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (!std::isfinite(want[i]) && !std::isfinite(got[i])) continue;
    const double error = std::abs(static_cast<double>(got[i]) - want[i]);
    if (error <= bound(i)) continue;
    ADD_FAILURE() << what << ", element " << i << " of " << want.size() << ": " << got[i] << " instead of "
                  << want[i] << ", error " << error << " > " << bound(i);
    break;
  }
  return static_cast<int>(want.size());
}

}  // namespace medlar::kernels::testing
