// The speed model against what others measured, and what must hold of it anywhere.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include <gtest/gtest.h>

#include "tests/host/public_rows.h"

namespace medlar::host {
namespace {

using testing::PublicRow;
using testing::RowPlans;

std::vector<PublicRow> rows() {
  return testing::read_public_rows(std::filesystem::path(MEDLAR_SOURCE_DIR) / "tests/host/apple_speed.csv");
}

// The constants saw none of the rows marked "check".
TEST(Speed, AgreesWithMeasurementsItWasNotFittedTo) {
  RowPlans plans;
  std::vector<double> errors;
  for (const PublicRow& row : rows()) {
    if (!row.ran() || row.use != "check") continue;
    const Prediction p = plans.predict(row);
    for (const double error : {p.prompt_tps / row.prompt_tps - 1, p.decode_tps / row.decode_tps - 1}) {
      errors.push_back(std::abs(error));
      EXPECT_LE(errors.back(), 0.25) << row.machine << " " << row.model << ":" << row.type;
    }
  }
  ASSERT_GE(errors.size(), 20U);
  std::ranges::sort(errors);
  EXPECT_LE(errors[errors.size() / 2], 0.12);
}

TEST(Speed, KnowsWhatFits) {
  RowPlans plans;
  int refused = 0;
  for (const PublicRow& row : rows()) {
    if (row.fits == "beyond") continue;
    EXPECT_EQ(plans.fits(row), row.fits == "yes") << row.machine << " " << row.model << ":" << row.type;
    refused += row.fits == "no";
  }
  EXPECT_GE(refused, 5);
}

// What one H200 did, with the limits that were measured beside it: docs/planning.md.
TEST(Speed, AgreesWithAnH200) {
  struct Row {
    const char *model, *type;
    double products;        // multiplications and additions a second at most
    double prompt, decode;  // tokens a second of 2,048, and of 64
    double behind;          // and of 64 behind 16,384; 0: not measured
  };
  constexpr Row kRows[] = {{"llama-8b", "q4_k_m", 854e12, 29832, 397.5, 306},
                           {"llama-8b", "q8_0", 855e12, 29319, 304.8, 0},
                           {"llama-8b", "f16", 847e12, 29641, 161.6, 0},
                           {"llama-1b", "q4_k_m", 929e12, 167146, 1609, 1013}};
  RowPlans plans;
  for (const Row& row : kRows) {
    const Rates rates = rates_of(runtime::DeviceLimits{.read = 4610e9, .products = row.products});
    ModelWork work = plans.plan({.model = row.model, .type = row.type, .prompt = 2048}).work;
    for (ModelWork::Attention& a : work.attention) a.kv_bytes *= 34.0 / 64;  // of f16, but it was q8_0
    const Prediction reads = predict(work, rates, {.prompt = 2048, .batch = 2048}),
                     writes = predict(work, rates, {.prompt = 32});
    EXPECT_NEAR(reads.prompt_tps / row.prompt, 1, 0.12) << row.model << " " << row.type;
    EXPECT_NEAR(writes.decode_tps / row.decode, 1, 0.12) << row.model << " " << row.type;
    if (row.behind > 0) {
      EXPECT_NEAR(predict(work, rates, {.prompt = 16384}).decode_tps / row.behind, 1, 0.12) << row.model;
    }
  }
}

TEST(Speed, EveryChipHasRates) {
  for (const AppleChip& chip : apple_chips()) {
    const Rates r = rates_of(chip);
    EXPECT_GT(r.read, 40e9);
    EXPECT_GT(r.products, 1e12);
    EXPECT_GE(r.plain_products, r.products);
  }
}

// A model of one layer with round numbers.
ModelWork work() {
  return {.products = {{.type = DType::q8_0, .bytes = 1e9, .flops = 1.8e9, .head_flops = 2e8}},
          .attention = {{.window = 0, .kv_bytes = 1000, .flops = 4000},
                        {.window = 100, .kv_bytes = 1000, .flops = 4000}},
          .layers = 2};
}

TEST(Speed, DecodeReadsWeightsAndWhatTheWindowsShow) {
  const Rates rates{.read = 1e9, .products = 1e15, .plain_products = 1e15};
  const Prediction p = predict(work(), rates, {.prompt = 1000});
  EXPECT_NEAR(1 / p.decode_tps, 1 + 1000 * 1000 / 1e9 + 100 * 1000 / 1e9, 1e-9);
}

TEST(Speed, CachedKeysAndValuesMayBeSlowerThanWeights) {
  const Rates rates{.read = 1e9, .attend = 1e8, .products = 1e15, .plain_products = 1e15};
  const Prediction p = predict(work(), rates, {.prompt = 1000});
  EXPECT_NEAR(1 / p.decode_tps, 1 + 1000 * 1000 / 1e8 + 100 * 1000 / 1e8, 1e-9);
}

TEST(Speed, WeightsAreUnpackedForEachBatch) {
  const Rates rates{.read = 1e9, .products = 1e12, .plain_products = 1e15, .unpacked_bytes = 2};
  const double products = (512 * 1.8e9 + 2e8) / 1e12, weights = (1e9 + 2 * 0.9e9) / 1e9;
  EXPECT_NEAR(512 / predict(work(), rates, {.prompt = 512}).prompt_tps, products + weights, 1e-3);
  EXPECT_NEAR(1024 / predict(work(), rates, {.prompt = 1024}).prompt_tps, 2 * (products + weights), 1e-2);
}

TEST(Speed, PartsOnDevicesTakeTurns) {
  const Rates slow{.read = 1e9, .products = 1e12, .plain_products = 1e15, .layer_seconds = 0.1};
  const Rates fast = rates_of(runtime::DeviceLimits{.read = 1e12, .products = 1e15});
  const std::vector<PartOnDevice> parts = {{work(), slow, {.prompt = 0.5, .decode = 2}}, {work(), fast, {}}};
  const Workload workload{.prompt = 100, .batch = 64, .depth = 10};
  const Prediction a = predict(work(), slow, workload), b = predict(work(), fast, workload),
                   both = predict(parts, workload);
  EXPECT_NEAR(1 / both.decode_tps, 1 / a.decode_tps / 2 + 1 / b.decode_tps, 1e-9);
  EXPECT_NEAR(both.ttft_ms, a.ttft_ms * 2 + b.ttft_ms, 1e-6);
  EXPECT_NEAR(100 / both.prompt_tps, both.ttft_ms / 1000, 1e-9);
}

TEST(Speed, ReadingIsBoundByProductsOrByWeights) {
  const Rates fast{.read = 1e15, .products = 1e12, .plain_products = 1e15};
  EXPECT_NEAR(predict(work(), fast, {.prompt = 512}).prompt_tps, 512 / (512 * 1.8e9 + 2e8) * 1e12, 1e-3);
  // Two batches read the weights twice.
  const Rates slow{.read = 1e9, .products = 1e18, .plain_products = 1e18};
  EXPECT_NEAR(predict(work(), slow, {.prompt = 600, .batch = 512}).ttft_ms, 2000, 1e-6);
}

TEST(Speed, LayersTakeTimeOfTheirOwn) {
  Rates rates{.read = 1e9, .products = 1e12, .plain_products = 1e12};
  const double without = 1 / predict(work(), rates).decode_tps;
  rates.layer_seconds = 0.25;
  EXPECT_NEAR(1 / predict(work(), rates).decode_tps, without + 0.5, 1e-9);
}

}  // namespace
}  // namespace medlar::host
