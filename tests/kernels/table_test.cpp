// The choice among entries.
#include "kernels/cpu/table.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/all.h"
#include "kernels/types.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {
namespace {

constexpr KernelOp kPlainOps[] = {KernelOp::gather_rows, KernelOp::rms_norm,   KernelOp::layer_norm,
                                  KernelOp::temperature, KernelOp::binary,     KernelOp::unary,
                                  KernelOp::glu,         KernelOp::prepare,    KernelOp::linear,
                                  KernelOp::route,       KernelOp::expert_glu, KernelOp::expert_sum,
                                  KernelOp::rope};

void expect_complete(const CpuTable& table) {
  for (const KernelOp op : kPlainOps) EXPECT_TRUE(table.has(op)) << name(op);
  formats::for_each_format([&]<formats::Format F>(F) {
    constexpr DType kType = F::info.type;
    EXPECT_TRUE(table.has(KernelOp::embed, kType)) << F::info.name;
    EXPECT_EQ(table.rows_dot(kType).act, act_kind(kType)) << F::info.name;
    EXPECT_EQ(table.rows_dot(kType, true).act, ActKind::f32) << F::info.name;
    if (!F::info.is_kv()) return;
    for (const KernelOp op : {KernelOp::kv_write, KernelOp::attend_prepare, KernelOp::attention}) {
      EXPECT_TRUE(table.has(op, kType)) << name(op) << " " << F::info.name;
    }
  });
}

TEST(CpuTable, ScalarAloneHasEverything) { expect_complete(CpuTable(CpuLevel::scalar, {})); }

TEST(CpuTable, BestHasEverything) {
  const CpuFeatures features = detect_cpu_features();
  expect_complete(CpuTable(best_cpu_level(features), features));
}

// The last instruction set here that has the operation; some add products only.
Isa widest_with(KernelOp op) {
  Isa widest = Isa::scalar;
  for (const Isa isa : isas_here()) {
    if (std::ranges::count(cpu_entries(isa), op, &KernelEntry::op) > 0) widest = isa;
  }
  return widest;
}

TEST(CpuTable, PrefersTheWidestThatRuns) {
  const CpuFeatures features = detect_cpu_features();
  const CpuTable table(best_cpu_level(features), features);
  EXPECT_EQ(table.find(KernelOp::attention, DType::q8_0).isa, widest_with(KernelOp::attention));
  EXPECT_EQ(table.rows_dot(DType::q4_k).isa, widest_with(KernelOp::rows_dot));
  EXPECT_EQ(CpuTable(CpuLevel::scalar, features).rows_dot(DType::q4_k).isa, Isa::scalar);
}

TEST(CpuTable, UnknownTypesAreUnsupported) {
  const CpuTable table(CpuLevel::scalar, {});
  EXPECT_FALSE(table.has(KernelOp::attention, DType::q6_k));
  EXPECT_THROW(static_cast<void>(table.find(KernelOp::attention, DType::q6_k)), Error);
  EXPECT_THROW(static_cast<void>(table.rows_dot(DType::i32)), Error);
}

TEST(Activations, RowsAreWholeCacheLines) {
  EXPECT_EQ(act_bytes(ActKind::f32, 1), 64u);
  EXPECT_EQ(act_bytes(ActKind::f32, 17), 128u);
  EXPECT_EQ(act_bytes(ActKind::q8, 32), 448u);
  EXPECT_EQ(act_bytes(ActKind::q8, 576), 3 * 448u);
}

TEST(Activations, TilesTakeWholeTiles) {
  EXPECT_EQ(prepared_bytes(ActKind::q8, Batch::none, 256, 100), 100 * 448u);
  EXPECT_EQ(prepared_bytes(ActKind::q8, Batch::tiles, 256, 8), 8 * 448u);
  EXPECT_EQ(prepared_bytes(ActKind::q8, Batch::tiles, 256, 17), 32 * 512u);
  EXPECT_EQ(prepared_bytes(ActKind::q8, Batch::tiles, 32, 100), 100 * 448u);  // a step of few rows still fits
}

}  // namespace
}  // namespace medlar::kernels::testing
