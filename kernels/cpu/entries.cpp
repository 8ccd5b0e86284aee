// The table of one instruction set.
#include "kernels/cpu/dot.h"
#include "kernels/cpu/isas.h"
#include "kernels/cpu/ops.h"
#include "kernels/types.h"

#define MEDLAR_TEXT_(x) #x
#define MEDLAR_TEXT(x) MEDLAR_TEXT_(x)
#define MEDLAR_NAME(x) MEDLAR_TEXT(MEDLAR_ISA) "." x

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr Isa kIsa = Isa::MEDLAR_ISA;

[[maybe_unused]] constexpr KernelEntry op(KernelOp op, const char* name, StepFn step,
                                          size_t (*scratch)(const void*, int) = nullptr,
                                          DType type = DType::f32) {
  return {op, type, ActKind::f32, kIsa, name, step, nullptr, scratch};
}

template <DType kType>
void exact(const RowsDot& a) {
  dot_f32(kType, a);
}

template <DType kType>
void quantized(const RowsDot& a) {
  dot_q8(kType, a);
}

template <DType kType>
constexpr KernelEntry exact_leaf(const char* name) {
  return {KernelOp::rows_dot, kType, ActKind::f32, kIsa, name, nullptr, exact<kType>, nullptr};
}

template <DType kType>
constexpr KernelEntry leaf(const char* name) {
  static_assert(act_kind(kType) != ActKind::f32);
  return {KernelOp::rows_dot, kType, act_kind(kType), kIsa, name, nullptr, quantized<kType>, nullptr};
}

#define MEDLAR_PLAIN(X) X(f32) X(f16) X(bf16)
// clang-format off
#define MEDLAR_QUANTIZED(X)                                                                                          \
  X(q4_0) X(q4_1) X(q5_0) X(q5_1) X(q8_0) X(q2_k) X(q3_k) X(q4_k) X(q5_k) X(q6_k) X(iq4_nl) X(iq4_xs) X(mxfp4)         \
  X(iq3_s) X(iq3_xxs) X(iq2_s) X(iq2_xs) X(iq2_xxs) X(iq1_m) X(iq1_s) X(tq2_0) X(tq1_0) X(nvfp4)
// clang-format on

#define MEDLAR_LEAF(t) leaf<DType::t>(MEDLAR_NAME("rows_dot." #t)),
#define MEDLAR_EXACT_LEAF(t) exact_leaf<DType::t>(MEDLAR_NAME("rows_dot.exact." #t)),
#define MEDLAR_EMBED(t) op(KernelOp::embed, MEDLAR_NAME("embed." #t), embed, nullptr, DType::t),
#define MEDLAR_CACHE(t)                                                                                     \
  op(KernelOp::kv_write, MEDLAR_NAME("kv_write." #t), kv_write, nullptr, DType::t),                         \
      op(KernelOp::attend_prepare, MEDLAR_NAME("attend_prepare." #t), attend_prepare,                       \
         attend_prepare_scratch, DType::t),                                                                 \
      op(KernelOp::attention, MEDLAR_NAME("attention." #t), attention, attention_scratch, DType::t),        \
      op(KernelOp::attention_merge, MEDLAR_NAME("attention_merge." #t), attention_merge, attention_scratch, \
         DType::t),

constexpr KernelEntry kEntries[] = {
#if !defined(MEDLAR_PRODUCTS_ONLY)
    op(KernelOp::rms_norm, MEDLAR_NAME("rms_norm"), rms_norm),
    op(KernelOp::layer_norm, MEDLAR_NAME("layer_norm"), layer_norm),
    op(KernelOp::binary, MEDLAR_NAME("binary"), binary),
    op(KernelOp::unary, MEDLAR_NAME("unary"), unary),
    op(KernelOp::glu, MEDLAR_NAME("glu"), glu),
    op(KernelOp::temperature, MEDLAR_NAME("temperature"), temperature),
    op(KernelOp::concat, MEDLAR_NAME("concat"), concat),
    op(KernelOp::prepare, MEDLAR_NAME("prepare"), prepare),
    op(KernelOp::linear, MEDLAR_NAME("linear"), linear, linear_scratch),
    op(KernelOp::head_linear, MEDLAR_NAME("head_linear"), head_linear, head_linear_scratch),
    op(KernelOp::route, MEDLAR_NAME("route"), route, route_scratch),
    op(KernelOp::expert_glu, MEDLAR_NAME("expert_glu"), expert_glu, expert_glu_scratch),
    op(KernelOp::expert_sum, MEDLAR_NAME("expert_sum"), expert_sum, expert_sum_scratch),
    op(KernelOp::rope, MEDLAR_NAME("rope"), rope, rope_scratch),
    op(KernelOp::short_conv, MEDLAR_NAME("short_conv"), short_conv),
    op(KernelOp::scan, MEDLAR_NAME("scan"), scan),
    op(KernelOp::slice, MEDLAR_NAME("slice"), slice),
#if defined(MEDLAR_ISA_SCALAR)
    op(KernelOp::gather_rows, MEDLAR_NAME("gather_rows"), gather_rows),
    MEDLAR_PLAIN(MEDLAR_EMBED) MEDLAR_QUANTIZED(MEDLAR_EMBED)
#endif
    // clang-format off
    MEDLAR_CACHE(f32) MEDLAR_CACHE(f16) MEDLAR_CACHE(bf16) MEDLAR_CACHE(q8_0) MEDLAR_CACHE(q4_0)
    MEDLAR_PLAIN(MEDLAR_EXACT_LEAF) MEDLAR_QUANTIZED(MEDLAR_EXACT_LEAF)
#endif
    MEDLAR_QUANTIZED(MEDLAR_LEAF)
    // clang-format on
};

}  // namespace

std::span<const KernelEntry> entries() { return kEntries; }

}  // namespace medlar::kernels::MEDLAR_ISA
