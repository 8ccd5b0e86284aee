// Kernel entries: what exists, for which types, on which instruction set. "Supported" means "there is an
// entry".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "formats/dtype.h"
#include "kernels/args.h"

namespace medlar::kernels {

// Instruction sets a table is compiled for, in rising order of preference within an architecture. avx2_vnni
// adds AVX-VNNI, which processors without AVX-512 have since 2021. neon includes dotprod, as every core since
// 2018 has; neon_i8mm adds the 8-bit matrix products; accelerate has the products of batches that Apple's
// library gives, which alone may use the matrix unit of its chips.
enum class Isa : std::uint8_t { scalar, avx2, avx2_vnni, avx512, amx, neon, neon_i8mm, accelerate };
inline constexpr Isa kIsas[] = {Isa::scalar, Isa::avx2, Isa::avx2_vnni, Isa::avx512,
                                Isa::amx,    Isa::neon, Isa::neon_i8mm, Isa::accelerate};

// Entries that take one of the structs in args.h run one step of a program on one thread's slice.
using StepFn = void (*)(const void* args, const Step& step, const Slice& slice);

enum class KernelOp : std::uint8_t {
  embed,
  gather_rows,
  rms_norm,
  layer_norm,
  binary,
  unary,
  glu,
  temperature,
  concat,
  prepare,
  linear,
  head_linear,
  route,
  expert_glu,
  expert_sum,
  rope,
  kv_write,
  attend_prepare,
  attention,
  attention_merge,
  short_conv,
  scan,
  slice,
  rows_dot,      // the leaf of linear, keyed by weight type
  unpack_tiles,  // and what linear has instead for Batch::tiles
  batch_dot,     // and for Batch::floats
};
inline constexpr std::size_t kKernelOps = static_cast<std::size_t>(KernelOp::batch_dot) + 1;

std::string_view name(KernelOp op);

struct KernelEntry {
  KernelOp op;
  DType type;   // weight or KV type the entry is for; f32 where it is for all
  ActKind act;  // of rows_dot: the activations it multiplies with; else f32
  Isa isa;
  std::string_view name;
  StepFn step = nullptr;         // every op but the leaves
  RowsDotFn rows_dot = nullptr;  // rows_dot and batch_dot only
  // Bytes of scratch a thread needs to run `args`; null: none.
  std::size_t (*scratch)(const void* args, int max_tokens) = nullptr;
  UnpackTilesFn unpack = nullptr;  // unpack_tiles only
};

// Bytes of one prepared row of `width` values, a multiple of 64.
std::size_t act_bytes(ActKind kind, std::int64_t width);
// Bytes of up to `rows` of them, in a batch or not.
std::size_t prepared_bytes(ActKind kind, Batch batch, std::int64_t width, std::int64_t rows);

}  // namespace medlar::kernels
