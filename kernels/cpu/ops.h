// The kernels of one instruction set.
#pragma once

#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

void rms_norm(const void* args, const Step& step, const Slice& slice);
void layer_norm(const void* args, const Step& step, const Slice& slice);
void binary(const void* args, const Step& step, const Slice& slice);
void unary(const void* args, const Step& step, const Slice& slice);
void glu(const void* args, const Step& step, const Slice& slice);
void temperature(const void* args, const Step& step, const Slice& slice);
void concat(const void* args, const Step& step, const Slice& slice);
void prepare(const void* args, const Step& step, const Slice& slice);
void linear(const void* args, const Step& step, const Slice& slice);
void head_linear(const void* args, const Step& step, const Slice& slice);
void route(const void* args, const Step& step, const Slice& slice);
void expert_glu(const void* args, const Step& step, const Slice& slice);
void expert_sum(const void* args, const Step& step, const Slice& slice);
void rope(const void* args, const Step& step, const Slice& slice);
void kv_write(const void* args, const Step& step, const Slice& slice);
void attend_prepare(const void* args, const Step& step, const Slice& slice);
void attention(const void* args, const Step& step, const Slice& slice);
void attention_merge(const void* args, const Step& step, const Slice& slice);
void short_conv(const void* args, const Step& step, const Slice& slice);
void scan(const void* args, const Step& step, const Slice& slice);
void slice(const void* args, const Step& step, const Slice& slice);

size_t linear_scratch(const void* args, int max_tokens);
size_t head_linear_scratch(const void* args, int max_tokens);
size_t route_scratch(const void* args, int max_tokens);
size_t expert_glu_scratch(const void* args, int max_tokens);
size_t expert_sum_scratch(const void* args, int max_tokens);
size_t rope_scratch(const void* args, int max_tokens);
size_t attend_prepare_scratch(const void* args, int max_tokens);
size_t attention_scratch(const void* args, int max_tokens);

#if defined(MEDLAR_ISA_SCALAR)
void embed(const void* args, const Step& step, const Slice& slice);
void gather_rows(const void* args, const Step& step, const Slice& slice);
#endif

// y[i] = activation(gates[i]) * up[i] over the range, or what clamped_silu is.
void gate(Activation activation, Range range, const float* gates, const float* up, float* y);

}  // namespace medlar::kernels::MEDLAR_ISA
