// The table of the matrix unit. Everything it lacks comes from AVX-512.
#include "kernels/cpu/isas.h"
#include "kernels/cpu/tile_ops.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

template <DType kType>
constexpr KernelEntry leaf(const char* name) {
  return {KernelOp::unpack_tiles, kType, ActKind::f32, Isa::amx, name, nullptr, nullptr, nullptr,
          unpack_tiles<kType>};
}

template <DType kType>
constexpr KernelEntry cached(KernelOp op, const char* name, StepFn step) {
  return {op, kType, ActKind::f32, Isa::amx, name, step, nullptr, attention_scratch};
}

#define MEDLAR_CACHE(t)                                                  \
  cached<DType::t>(KernelOp::attention, "amx.attention." #t, attention), \
      cached<DType::t>(KernelOp::attention_merge, "amx.attention_merge." #t, attention_merge),
#define MEDLAR_LEAF(t) leaf<DType::t>("amx.unpack_tiles." #t),

constexpr KernelEntry kEntries[] = {
    {KernelOp::prepare, DType::f32, ActKind::f32, Isa::amx, "amx.prepare", prepare},
    {KernelOp::linear, DType::f32, ActKind::f32, Isa::amx, "amx.linear", linear, nullptr, linear_scratch},
    // clang-format off
    MEDLAR_CACHE(f32) MEDLAR_CACHE(f16) MEDLAR_CACHE(bf16) MEDLAR_CACHE(q8_0) MEDLAR_CACHE(q4_0)
    MEDLAR_TILE_TYPES(MEDLAR_LEAF)
    // clang-format on
};

}  // namespace

std::span<const KernelEntry> entries() { return kEntries; }

}  // namespace medlar::kernels::MEDLAR_ISA
