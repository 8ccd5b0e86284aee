// Schedules of dispatches: barriers where there are hazards, and memory shared only across barriers.
#include <algorithm>

#include <gtest/gtest.h>

#include "checkpoint/gguf.h"
#include "models/model.h"
#include "runtime/gpu/lower.h"
#include "tests/support/tiny_model.h"

namespace medlar::runtime::gpu {
namespace {

Region activation(int id) { return {RegionKind::activation, id}; }

PlannedDispatch dispatch(std::vector<Region> reads, std::vector<Region> writes) {
  return {nullptr, {}, std::move(reads), std::move(writes), {}};
}

StepPlan plan_of(std::vector<PlannedDispatch> dispatches, int activations) {
  return {std::move(dispatches), std::vector<std::size_t>(static_cast<std::size_t>(activations), 100),
          activation(activations - 1)};
}

TEST(GpuSchedule, ReadersWaitForWriters) {
  const Schedule s =
      schedule(plan_of({dispatch({}, {activation(0)}), dispatch({activation(0)}, {activation(1)})}, 2));
  EXPECT_EQ(s.barriers, (std::vector<bool>{false, true}));
}

TEST(GpuSchedule, WritersWaitForReadersAndWriters) {
  const Region cache{RegionKind::kv, 3};
  const Schedule s = schedule(
      plan_of({dispatch({cache}, {activation(0)}), dispatch({}, {cache}), dispatch({}, {cache})}, 1));
  EXPECT_EQ(s.barriers, (std::vector<bool>{false, true, true}));
}

TEST(GpuSchedule, IndependentDispatchesRunTogether) {
  const Region weight{RegionKind::weight, 0};
  const Schedule s =
      schedule(plan_of({dispatch({}, {activation(0)}), dispatch({activation(0), weight}, {activation(1)}),
                        dispatch({activation(0), weight}, {activation(2)}),
                        dispatch({activation(1), activation(2)}, {activation(3)})},
                       4));
  EXPECT_EQ(s.barriers, (std::vector<bool>{false, true, false, true}));
}

// Lifetimes are counted in waves: what two concurrent dispatches touch lies apart even if one only reads it
// last.
TEST(GpuSchedule, ConcurrentDispatchesShareNoMemory) {
  const Schedule s = schedule(
      plan_of({dispatch({}, {activation(0)}), dispatch({}, {activation(1)}),
               dispatch({activation(0)}, {activation(2)}), dispatch({activation(1)}, {activation(3)})},
              4));
  EXPECT_EQ(s.barriers, (std::vector<bool>{false, false, true, false}));
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = i + 1; j < 4; ++j)
      EXPECT_GE(s.offsets[i] > s.offsets[j] ? s.offsets[i] - s.offsets[j] : s.offsets[j] - s.offsets[i], 100U)
          << i << " " << j;
}

// The bytes that a dispatch touches in the arena.
struct Touch {
  std::size_t begin, end;
  bool written;
};

std::vector<Touch> touches(const PlannedDispatch& d, const StepPlan& plan, const Schedule& s) {
  std::vector<Touch> all;
  for (const auto* regions : {&d.reads, &d.writes})
    for (const Region& r : *regions) {
      if (r.kind != RegionKind::activation) continue;
      const auto i = static_cast<std::size_t>(r.id);
      all.push_back({s.offsets[i], s.offsets[i] + plan.activation_bytes[i], regions == &d.writes});
    }
  return all;
}

bool conflict(const std::vector<Touch>& a, const std::vector<Touch>& b) {
  for (const Touch& x : a)
    for (const Touch& y : b)
      if ((x.written || y.written) && x.begin < y.end && y.begin < x.end) return true;
  return false;
}

// On lowered models, after placement: no two dispatches of one wave meet in memory, and no value is
// overwritten before its last reader ran.
TEST(GpuSchedule, LoweredModelsHaveNoHazards) {
  for (const testing::TinyModel& tiny : {testing::TinyModel{},
                                         {.architecture = "gemma3"},
                                         {.architecture = "qwen3moe", .experts = 7, .experts_used = 3}})
    for (const auto& [fuse, bytes] : {std::pair{false, false}, {true, false}, {true, true}})
      for (const StepShape& shape : {StepShape{1, 1, 1}, {1, 1, 4096}, {8, 4, 64}, {64, 1, 64}}) {
        const testing::TemporaryFolder folder;
        testing::write_tiny_model(folder / "m.gguf", tiny);
        const gguf::File file = gguf::File::open(folder / "m.gguf");
        const models::Model model = models::build({file});
        const ProgramOptions options{
            .max_tokens = 64, .max_logit_rows = 4, .k_type = DType::f16, .v_type = DType::f16, .fuse = fuse};
        const std::vector<KvPart> kv = layout_kv(model.graph, options);
        const StepPlan plan = Lowering(model.graph, options, kv, {.bytes = bytes}).plan(shape);
        const Schedule s = schedule(plan);
        std::vector<int> last_writer(plan.activation_bytes.size(), -1);
        std::size_t wave = 0;
        for (std::size_t i = 0; i < plan.dispatches.size(); ++i) {
          if (s.barriers[i]) wave = i;
          const auto mine = touches(plan.dispatches[i], plan, s);
          for (std::size_t j = wave; j < i; ++j)
            EXPECT_FALSE(conflict(mine, touches(plan.dispatches[j], plan, s))) << i << " and " << j;
          for (const Region& r : plan.dispatches[i].reads) {
            if (r.kind != RegionKind::activation) continue;
            const int from = last_writer[static_cast<std::size_t>(r.id)];
            ASSERT_GE(from, 0) << plan.dispatches[i].kernel->name << " reads what nobody wrote";
            // Whoever wrote in between wrote elsewhere.
            const StepPlan one{{dispatch({r}, {})}, plan.activation_bytes, {}};
            for (std::size_t j = static_cast<std::size_t>(from) + 1; j < i; ++j) {
              auto between = touches(plan.dispatches[j], plan, s);
              std::erase_if(between, [](const Touch& t) { return !t.written; });
              EXPECT_FALSE(conflict(between, touches(one.dispatches[0], plan, s)))
                  << j << " overwrites what " << i << " reads";
            }
          }
          for (const Region& r : plan.dispatches[i].writes)
            if (r.kind == RegionKind::activation)
              last_writer[static_cast<std::size_t>(r.id)] = static_cast<int>(i);
        }
      }
}

// A token of a dense model: what each layer costs in dispatches, which small models wait for more than for
// memory.
TEST(GpuSchedule, LayersAreFewDispatches) {
  const auto count = [](std::int64_t layers, int kv_tokens, std::int64_t head_dim = 32) {
    const testing::TemporaryFolder folder;
    testing::write_tiny_model(folder / "m.gguf",
                              {.type = DType::q8_0, .layers = layers, .head_dim = head_dim});
    const gguf::File file = gguf::File::open(folder / "m.gguf");
    const models::Model model = models::build({file});
    const ProgramOptions options{.max_tokens = 1, .k_type = DType::f16, .v_type = DType::f16};
    const std::vector<KvPart> kv = layout_kv(model.graph, options);
    return static_cast<int>(
        Lowering(model.graph, options, kv, {.bytes = true}).plan({1, 1, kv_tokens}).dispatches.size());
  };
  // qkv, heads, attention, [its splits joined], output, gate and up, down.
  EXPECT_EQ(count(3, 1) - count(2, 1), 6);
  EXPECT_EQ(count(3, 4096) - count(2, 4096), 7);
  EXPECT_EQ(count(2, 1), 2 * 6 + 5);  // embed, bytes; rows of logits, bytes, head
  // Heads of 16 are no whole groups of bytes: what attention has found is made bytes by itself.
  EXPECT_EQ(count(3, 1, 16) - count(2, 1, 16), 7);
}

// Steps of a few tokens a sequence divide the keys, for as many cores as there are; prompts divide the rows.
TEST(GpuPlan, AttentionFillsTheDevice) {
  const testing::TemporaryFolder folder;
  testing::write_tiny_model(folder / "m.gguf", {});
  const gguf::File file = gguf::File::open(folder / "m.gguf");
  const models::Model model = models::build({file});
  const ProgramOptions options{.max_tokens = 512, .k_type = DType::f16, .v_type = DType::f16};
  const std::vector<KvPart> kv = layout_kv(model.graph, options);
  const auto attention = [&](const StepShape& shape, int cores) {
    const StepPlan plan = Lowering(model.graph, options, kv, {.cores = cores}).plan(shape);
    const auto found = std::ranges::find_if(
        plan.dispatches, [](const PlannedDispatch& d) { return d.kernel->name.starts_with("flash_"); });
    return std::pair{found->kernel->name, found->grid};
  };
  const auto [one, grid] = attention({1, 1, 4096, 1}, 132);
  EXPECT_EQ(one, "flash_few_64");
  EXPECT_EQ(grid.z, 32U);                                  // of 128 keys each
  EXPECT_EQ(attention({1, 1, 4096, 1}, 8).second.z, 12U);  // two KV heads
  EXPECT_EQ(attention({1, 1, 128, 1}, 132).second.z, 1U);
  EXPECT_EQ(attention({128, 1, 4096, 128}, 132).first, "flash_few_64");
  const auto [prompt, tiles] = attention({512, 1, 1, 2}, 132);
  EXPECT_EQ(prompt, "flash_tile_64");
  EXPECT_EQ(tiles.y, 512U * 2 / 64 + 1);  // two query heads of a KV head; each run may end within a tile
}

}  // namespace
}  // namespace medlar::runtime::gpu
