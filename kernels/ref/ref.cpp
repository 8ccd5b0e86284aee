// The table of references.
#include "kernels/ref/ref.h"

#include <vector>

#include "base/assert.h"
#include "formats/all.h"
#include "kernels/ref/ref_ops.h"

namespace medlar::kernels {

namespace {

KernelEntry entry(KernelOp op, DType type, std::string_view name, StepFn step) {
  return {.op = op, .type = type, .act = ActKind::f32, .isa = Isa::scalar, .name = name, .step = step};
}

std::vector<KernelEntry> all() {
  std::vector<KernelEntry> entries = {
      entry(KernelOp::gather_rows, DType::f32, "ref.gather_rows", ref::gather_rows),
      entry(KernelOp::rms_norm, DType::f32, "ref.rms_norm", ref::rms_norm),
      entry(KernelOp::layer_norm, DType::f32, "ref.layer_norm", ref::layer_norm),
      entry(KernelOp::binary, DType::f32, "ref.binary", ref::binary),
      entry(KernelOp::unary, DType::f32, "ref.unary", ref::unary),
      entry(KernelOp::glu, DType::f32, "ref.glu", ref::glu),
      entry(KernelOp::temperature, DType::f32, "ref.temperature", ref::temperature),
      entry(KernelOp::concat, DType::f32, "ref.concat", ref::concat),
      entry(KernelOp::prepare, DType::f32, "ref.prepare", ref::prepare),
      entry(KernelOp::linear, DType::f32, "ref.linear", ref::linear),
      entry(KernelOp::head_linear, DType::f32, "ref.head_linear", ref::head_linear),
      entry(KernelOp::route, DType::f32, "ref.route", ref::route),
      entry(KernelOp::expert_glu, DType::f32, "ref.expert_glu", ref::expert_glu),
      entry(KernelOp::expert_sum, DType::f32, "ref.expert_sum", ref::expert_sum),
      entry(KernelOp::rope, DType::f32, "ref.rope", ref::rope),
      entry(KernelOp::short_conv, DType::f32, "ref.short_conv", ref::short_conv),
      entry(KernelOp::scan, DType::f32, "ref.scan", ref::scan),
      entry(KernelOp::slice, DType::f32, "ref.slice", ref::slice),
  };
  formats::for_each_format([&]<formats::Format F>(F) {
    constexpr DType kType = F::info.type;
    entries.push_back(entry(KernelOp::embed, kType, "ref.embed", ref::embed));
    entries.push_back(entry(KernelOp::rows_dot, kType, "ref.rows_dot", nullptr));
    entries.back().rows_dot = ref::rows_dot(kType);
    if constexpr (F::info.is_kv()) {
      entries.push_back(entry(KernelOp::kv_write, kType, "ref.kv_write", ref::kv_write));
      entries.push_back(entry(KernelOp::attend_prepare, kType, "ref.attend_prepare", ref::attend_prepare));
      entries.push_back(entry(KernelOp::attention, kType, "ref.attention", ref::attention));
      entries.push_back(entry(KernelOp::attention_merge, kType, "ref.attention_merge", ref::attention_merge));
    }
  });
  return entries;
}

}  // namespace

std::span<const KernelEntry> ref_entries() {
  static const std::vector<KernelEntry> entries = all();
  return entries;
}

const KernelEntry& ref_entry(KernelOp op, DType type) {
  const KernelEntry* found = nullptr;
  for (const KernelEntry& e : ref_entries()) {
    if (e.op == op && e.type == type) found = &e;
  }
  MEDLAR_ASSERT(found != nullptr);
  return *found;
}

}  // namespace medlar::kernels
