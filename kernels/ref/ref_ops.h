// The reference of each operation, as step functions over the structs of args.h.
#pragma once

#include "kernels/args.h"

namespace medlar::kernels::ref {

void embed(const void* args, const Step& step, const Slice& slice);
void gather_rows(const void* args, const Step& step, const Slice& slice);
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

// The rows_dot of `weight` with f32 activations.
RowsDotFn rows_dot(DType weight);

// What attend_prepare is made of.
void normalize(const float* x, const float* weight, std::int64_t dim, float eps, float* y);
void rotate(const RopeArgs& a, std::int64_t position, const float* x, float* y);  // one head
std::byte* kv_row(const KvPages& pages, const PageTable& table, std::int64_t sequence, std::int64_t position,
                  std::int64_t head);

double gated(Activation activation, double gate, double up);

}  // namespace medlar::kernels::ref
