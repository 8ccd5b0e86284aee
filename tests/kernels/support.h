// What the kernel tests share: buffers that notice a step over their edge, random data, and a way to run
// entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "formats/dtype.h"
#include "kernels/args.h"
#include "kernels/table.h"

namespace medlar::kernels::testing {

// splitmix64 (Steele, Lea & Flood 2014).
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n));
  }
  float uniform();  // [0, 1)
  float normal();
  std::vector<float> normals(std::int64_t n, float scale = 1);
  // Some of them far above their neighbours, as activations are.
  std::vector<float> heavy_tailed(std::int64_t n);

 private:
  std::uint64_t state_;
};

// Memory between two pages that may not be touched. The data ends where the second begins, as far as
// `alignment` allows, so reading past the end is a fault; the bytes around it hold a pattern that check()
// looks for.
class Guarded {
 public:
  explicit Guarded(std::int64_t bytes, std::size_t alignment = 1);
  Guarded(const std::vector<float>& values, std::size_t alignment = 4);
  ~Guarded();
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::byte* data() const { return data_; }
  float* floats() const { return reinterpret_cast<float*>(data_); }
  std::span<std::byte> bytes() const { return {data_, size_}; }
  std::span<float> values() const { return {floats(), size_ / sizeof(float)}; }
  bool intact() const;

 private:
  std::byte* map_ = nullptr;
  std::size_t map_bytes_ = 0;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// `rows` rows of `k` values as blocks whose codes and sub-scales are random bytes, so that every code occurs,
// with values of magnitude near 1.
std::vector<std::byte> random_weights(DType type, std::int64_t rows, std::int64_t k, Rng& rng);

// The magnitude of the offset that kernels may split from a weight, value = scale * code - offset: rounding
// happens at that size.
double offset_bound(DType type, const std::byte* block);

// Error bound of one dot product: the kernel scales whole blocks, adds them up in k / block steps spread over
// its lanes, and rounds at the size of |weight| + |offset|. With f32 activations every value is a step. 24
// covers the roundings within a block and the final reduction over lanes.
struct Leaf {
  Isa isa;
  DType type;
  ActKind act;
};
double dot_bound(Leaf leaf, const std::byte* row, std::span<const float> w, std::span<const float> x);
// The same with both sides rounded to bf16, and weights unpacked with their codes added to 2^15 at most.
double tile_bound(DType type, const std::byte* row, std::span<const float> w, std::span<const float> x);

// Value k of row m of activations of that width, in tiles.
float tiled_value(const std::byte* tiles, std::int64_t width, std::int64_t m, std::int64_t k);
float bf16_at(const std::byte* p);

// Instruction sets of this build that this processor runs.
std::vector<Isa> isas_here();

// Their tables; and where there is no matrix unit but all else that its kernels need, those kernels on
// emulated tiles; and the products of some CBLAS in the place of Accelerate's.
std::vector<std::span<const KernelEntry>> tables_here();
// The one that `entry` is in.
std::span<const KernelEntry> table_of(const KernelEntry& entry);

// Floats that a vector of the instruction set holds.
int lanes(Isa isa);

// The best entries for `isa`: its own, else the scalar ones. A matrix unit's leaves for few rows are
// AVX-512's.
const KernelEntry& entry_for(Isa isa, KernelOp op, DType type = DType::f32);
RowsDotFn leaf_for(Isa isa, DType type, ActKind act);

// Runs a step entry as a team of `threads` would, slice after slice, each with scratch of exactly the size it
// asks for, filled with NaN. Fails the test when scratch is overrun.
void run(const KernelEntry& entry, const void* args, const Step& step, int threads);

// A step of `tokens` tokens, all logit rows wanted, as one sequence from position `first` on.
struct SimpleStep {
  explicit SimpleStep(std::int64_t tokens, std::int64_t first = 0);
  std::vector<std::int32_t> ids, positions, sequences, rows;
  Step step;
};

// Fails the test at the first element whose error exceeds its bound, or where only one is a number. Returns
// the number of elements.
int expect_near(std::span<const float> got, std::span<const float> want,
                const std::function<double(std::size_t)>& bound, const std::string& what);

inline constexpr double kUlp = 0x1p-24;  // half a unit in the last place: the error of one rounding

}  // namespace medlar::kernels::testing
