// Every backend, instruction set and fusion setting gives one model the same logits as the scalar references.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/cpu_features.h"
#include "base/team.h"
#include "checkpoint/gguf.h"
#include "engine/timeline.h"
#include "kernels/cpu/isas.h"
#include "kernels/cpu/table.h"
#include "models/model.h"
#include "runtime/cpu/backend.h"
#include "runtime/emulator/backend.h"
#include "tests/support/tiny_model.h"

namespace medlar {
namespace {

constexpr std::int64_t kContext = 128;
constexpr int kBatch = 64;

struct Setting {
  std::string name;
  std::shared_ptr<runtime::Backend> backend;
  bool fuse = true, exact = true;
  DType kv = DType::f32;
};

Setting cpu(std::string name, kernels::CpuTable table, Setting s) {
  s.name = std::move(name);
  s.backend = runtime::make_cpu_backend(std::make_shared<Team>(TeamOptions{.threads = 2}), std::move(table));
  return s;
}

Setting reference() { return cpu("reference", kernels::CpuTable::reference(), {.fuse = false}); }

std::vector<Setting> settings() {
  std::vector<Setting> all;
  const CpuFeatures features = detect_cpu_features();
  for (CpuLevel level : {CpuLevel::scalar, CpuLevel::avx2, CpuLevel::avx512, CpuLevel::amx, CpuLevel::neon,
                         CpuLevel::accelerate}) {
    if (!supports(features, level)) continue;
    const kernels::CpuTable table(level, features);
    const std::string isa(name(level));
    for (bool fuse : {false, true})
      for (bool exact : {false, true})
        all.push_back(cpu(fmt::format("{}{}{}", isa, fuse ? " fused" : "", exact ? " exact" : ""), table,
                          {.fuse = fuse, .exact = exact}));
    for (DType kv : {DType::f16, DType::bf16, DType::q8_0, DType::q4_0})
      all.push_back(cpu(fmt::format("{} kv {}", isa, static_cast<int>(kv)), table, {.kv = kv}));
  }
#if defined(MEDLAR_HAS_CBLAS)
  if (supports(features, CpuLevel::avx2)) {
    kernels::CpuTable table(CpuLevel::avx2, features);
    table.prefer(kernels::accelerate::entries());
    for (bool fuse : {false, true}) all.push_back(cpu(fuse ? "blas fused" : "blas", table, {.fuse = fuse}));
  }
#endif
  const auto emulator = [&](std::string name, Setting s) {
    s.name = std::move(name), s.backend = runtime::make_emulator_backend();
    all.push_back(s);
  };
  emulator("emulator exact", {.fuse = false});
  emulator("emulator fused exact", {});
  emulator("emulator fused", {.exact = false});
  return all;
}

// Logits after every token, in batches of unequal size and single tokens; (tokens, vocab).
std::vector<float> run(const ir::Graph& graph, const Setting& setting, std::span<const std::int32_t> tokens) {
  const auto program = setting.backend->lower(graph, {.max_tokens = kBatch,
                                                      .max_logit_rows = kBatch,
                                                      .max_sequences = 1,
                                                      .k_type = setting.kv,
                                                      .v_type = setting.kv,
                                                      .kv_pages = Timeline::pages(graph, kContext, kBatch),
                                                      .fuse = setting.fuse,
                                                      .exact = setting.exact,
                                                      .guard = true});
  Timeline timeline(graph, *program, kContext, kBatch);
  std::vector<float> logits;
  for (std::size_t batch = 0; !tokens.empty(); ++batch) {
    constexpr std::size_t kSizes[] = {7, 24, 1, 1, 64, 2, 1};
    const auto now = tokens.first(std::min(tokens.size(), kSizes[batch % std::size(kSizes)]));
    timeline.append(now, Timeline::Logits::all);
    const auto rows = program->logits();
    logits.insert(logits.end(), rows.begin(), rows.end());
    tokens = tokens.subspan(now.size());
    program->check_guards();
  }
  return logits;
}

// Mean KL divergence of `q` from `p`, in nats a token.
double divergence(const std::vector<float>& p, const std::vector<float>& q, std::size_t vocab) {
  double total = 0;
  for (std::size_t row = 0; row < p.size(); row += vocab) {
    const auto normaliser = [&](const std::vector<float>& x) {
      const float best = *std::max_element(x.begin() + static_cast<std::ptrdiff_t>(row),
                                           x.begin() + static_cast<std::ptrdiff_t>(row + vocab));
      double sum = 0;
      for (std::size_t i = row; i < row + vocab; ++i) sum += std::exp(static_cast<double>(x[i]) - best);
      return best + std::log(sum);
    };
    const double zp = normaliser(p), zq = normaliser(q);
    for (std::size_t i = row; i < row + vocab; ++i)
      total += std::exp(p[i] - zp) * ((p[i] - zp) - (q[i] - zq));
  }
  return total / (static_cast<double>(p.size()) / static_cast<double>(vocab));
}

// What a setting may lose against the references: nothing but rounding when exact; else the activations' and
// the cache's own precision (8 bits: relative error about 2^-8; 4 bits: 2^-4, squared into KL). That may turn
// the choice between two experts that are nearly equal.
double bound(const Setting& s, const testing::TinyModel& model) {
  const bool chooses = model.experts > model.experts_used;
  if (s.kv == DType::q4_0) return 5e-2;
  if (s.kv != DType::f32 || !s.exact) return chooses ? 2e-2 : 2e-3;
  return 1e-8;
}

class Backends : public ::testing::TestWithParam<testing::TinyModel> {};

TEST_P(Backends, AgreeWithTheReferences) {
  const testing::TemporaryFolder folder;
  testing::write_tiny_model(folder / "m.gguf", GetParam());
  const gguf::File file = gguf::File::open(folder / "m.gguf");
  const models::Model model = models::build({file});
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 100; ++i) tokens.push_back((i * 37 + i * i) % 256);

  const std::vector<float> expected = run(model.graph, reference(), tokens);
  ASSERT_EQ(expected.size(), tokens.size() * static_cast<std::size_t>(testing::kTinyVocab));
  for (const Setting& s : settings()) {
    if (GetParam().head_dim % 32 != 0 && (s.kv == DType::q8_0 || s.kv == DType::q4_0)) continue;
    const double kl =
        divergence(expected, run(model.graph, s, tokens), static_cast<std::size_t>(testing::kTinyVocab));
    EXPECT_LT(kl, bound(s, GetParam())) << s.name;
    EXPECT_GT(kl, -1e-9) << s.name;
  }
}

std::vector<testing::TinyModel> models() {
  using testing::TinyModel;
  std::vector<TinyModel> all;
  for (const char* a : {"llama", "qwen2", "qwen3", "gemma3"})
    all.push_back({.architecture = a, .head_dim = 32});
  all.push_back({.architecture = "qwen3moe", .head_dim = 32, .experts = 7, .experts_used = 3});
  all.push_back({.architecture = "llama", .type = DType::q8_0, .head_dim = 32, .experts = 4});
  all.push_back({.architecture = "qwen3moe",
                 .type = DType::q4_k,
                 .dim = 256,
                 .ffn = 256,
                 .head_dim = 64,
                 .experts = 8,
                 .experts_used = 8});
  all.push_back({.dim = 48, .ffn = 80, .heads = 3, .kv_heads = 1, .head_dim = 16});
  for (DType type : {DType::f16, DType::bf16, DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0,
                     DType::iq4_nl, DType::mxfp4})
    all.push_back({.type = type, .head_dim = 32});
  for (DType type : {DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_xs,
                     DType::iq2_s, DType::tq1_0, DType::nvfp4})
    all.push_back({.architecture = "qwen3",
                   .type = type,
                   .dim = 256,
                   .ffn = 512,
                   .heads = 4,
                   .kv_heads = 2,
                   .head_dim = 64});
  return all;
}

std::string test_name(const ::testing::TestParamInfo<testing::TinyModel>& info) {
  const testing::TinyModel& m = info.param;
  return fmt::format("{}_{}_{}_{}", m.architecture, static_cast<int>(m.type), m.dim, m.experts);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Backends, ::testing::ValuesIn(models()), test_name);

}  // namespace
}  // namespace medlar
