// Every kernel entry of every instruction set that runs here, against the references.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cpu/table.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {
namespace {

int check(const KernelEntry& entry) {
  switch (entry.op) {
    case KernelOp::embed:
      return check_embed(entry);
    case KernelOp::gather_rows:
      return check_gather_rows(entry);
    case KernelOp::rms_norm:
      return check_rms_norm(entry);
    case KernelOp::layer_norm:
      return check_layer_norm(entry);
    case KernelOp::binary:
      return check_binary(entry);
    case KernelOp::unary:
      return check_unary(entry);
    case KernelOp::glu:
      return check_glu(entry);
    case KernelOp::temperature:
      return check_temperature(entry);
    case KernelOp::concat:
      return check_concat(entry);
    case KernelOp::prepare:
      return check_prepare(entry);
    case KernelOp::linear:
      return check_linear(entry);
    case KernelOp::head_linear:
      return check_head_linear(entry);
    case KernelOp::route:
      return check_route(entry);
    case KernelOp::expert_glu:
      return check_expert_glu(entry);
    case KernelOp::expert_sum:
      return check_expert_sum(entry);
    case KernelOp::rope:
      return check_rope(entry);
    case KernelOp::kv_write:
      return check_kv_write(entry);
    case KernelOp::attend_prepare:
      return check_attend_prepare(entry);
    case KernelOp::attention:
    case KernelOp::attention_merge:
      return check_attention(entry);
    case KernelOp::short_conv:
      return check_short_conv(entry);
    case KernelOp::scan:
      return check_scan(entry);
    case KernelOp::slice:
      return check_slice(entry);
    case KernelOp::rows_dot:
    case KernelOp::batch_dot:
      return check_rows_dot(entry);
    case KernelOp::unpack_tiles:
      return check_unpack_tiles(entry);
  }
  return 0;  // an operation without cases
}

std::vector<const KernelEntry*> entries_here() {
  std::vector<const KernelEntry*> entries;
  for (const std::span<const KernelEntry> table : tables_here()) {
    for (const KernelEntry& e : table) entries.push_back(&e);
  }
  return entries;
}

std::string test_name(const ::testing::TestParamInfo<const KernelEntry*>& info) {
  std::string name(info.param->name);
  std::ranges::replace(name, '.', '_');
  return name;
}

class Conformance : public ::testing::TestWithParam<const KernelEntry*> {};

TEST_P(Conformance, AgreesWithReference) {
  EXPECT_GT(check(*GetParam()), 0) << "no case for " << GetParam()->name;
}

INSTANTIATE_TEST_SUITE_P(Cpu, Conformance, ::testing::ValuesIn(entries_here()), test_name);

}  // namespace
}  // namespace medlar::kernels::testing
