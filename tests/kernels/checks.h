// One check for each operation: every case of an entry against the reference. Each returns how many values it
// compared, so that an operation without cases is noticed.
//
// Bounds. u = 2^-24 is the error of one rounding to f32. A sum of n terms t_i, added one after the other, is
// within n u sum|t_i| of the exact one (Higham, Accuracy and Stability, 4.2); vectors shorten n by their
// lanes. The references sum in double, so the whole bound is the kernel's.
#pragma once

#include "kernels/table.h"

namespace medlar::kernels::testing {

int check_embed(const KernelEntry& entry);
int check_gather_rows(const KernelEntry& entry);
int check_rms_norm(const KernelEntry& entry);
int check_layer_norm(const KernelEntry& entry);
int check_binary(const KernelEntry& entry);
int check_unary(const KernelEntry& entry);
int check_glu(const KernelEntry& entry);
int check_temperature(const KernelEntry& entry);
int check_concat(const KernelEntry& entry);
int check_prepare(const KernelEntry& entry);
int check_linear(const KernelEntry& entry);
int check_head_linear(const KernelEntry& entry);
int check_route(const KernelEntry& entry);
int check_expert_glu(const KernelEntry& entry);
int check_expert_sum(const KernelEntry& entry);
int check_rope(const KernelEntry& entry);
int check_kv_write(const KernelEntry& entry);
int check_attend_prepare(const KernelEntry& entry);
int check_attention(const KernelEntry& entry);
int check_short_conv(const KernelEntry& entry);
int check_scan(const KernelEntry& entry);
int check_slice(const KernelEntry& entry);
int check_rows_dot(const KernelEntry& entry);
int check_unpack_tiles(const KernelEntry& entry);
int check_prepare_tiles(const KernelEntry& entry);  // part of check_prepare

}  // namespace medlar::kernels::testing
