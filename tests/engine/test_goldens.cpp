// Tiny models against the log-probabilities that Transformers computes (tests/goldens), token by token as in
// decode and in batches as in prefill.
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/cpu_features.h"
#include "base/team.h"
#include "checkpoint/gguf.h"
#include "engine/timeline.h"
#include "kernels/cpu/table.h"
#include "models/model.h"
#include "runtime/cpu/backend.h"

namespace medlar {
namespace {

constexpr std::int64_t kContext = 128;

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Golden {
  std::vector<std::int32_t> tokens;
  std::vector<float> log_probs;  // (tokens, vocab)

  explicit Golden(const std::string& stem) {
    // {"tokens": [1, 2, ...]}
    const std::string json = contents(stem + ".json");
    for (std::size_t at = json.find('[') + 1; at < json.size() && json[at] != '}';) {
      std::size_t digits = 0;
      tokens.push_back(std::stoi(json.substr(at), &digits));
      at += digits + 1;
    }
    // The values are what follows the header of a .npy file, whose length is a u16 at byte 8.
    const std::string npy = contents(stem + ".npy");
    const std::size_t header =
        10 + static_cast<unsigned char>(npy[8]) + 256U * static_cast<unsigned char>(npy[9]);
    log_probs.resize((npy.size() - header) / sizeof(float));
    std::memcpy(log_probs.data(), npy.data() + header, log_probs.size() * sizeof(float));
  }
};

// The largest difference of log-probabilities when `batch` tokens are read at a time.
double difference(const ir::Graph& graph, const Golden& golden, std::size_t batch) {
  const CpuFeatures features = detect_cpu_features();
  const auto backend = runtime::make_cpu_backend(std::make_shared<Team>(TeamOptions{.threads = 2}),
                                                 kernels::CpuTable(best_cpu_level(features), features));
  const auto size = static_cast<int>(batch);
  const auto program = backend->lower(graph, {.max_tokens = size,
                                              .max_logit_rows = size,
                                              .k_type = DType::f32,
                                              .v_type = DType::f32,
                                              .kv_pages = Timeline::pages(graph, kContext, size),
                                              .exact = true});
  Timeline timeline(graph, *program, kContext, size);
  const std::size_t vocab = golden.log_probs.size() / golden.tokens.size();
  const float* expected = golden.log_probs.data();
  double worst = 0;
  for (std::size_t at = 0; at < golden.tokens.size(); at += batch) {
    const auto now = std::span(golden.tokens).subspan(at, std::min(batch, golden.tokens.size() - at));
    timeline.append(now, Timeline::Logits::all);
    const std::span<const float> logits = program->logits();
    for (std::size_t row = 0; row < logits.size(); row += vocab, expected += vocab) {
      double sum = 0;
      for (std::size_t i = 0; i < vocab; ++i) sum += std::exp(static_cast<double>(logits[row + i]));
      for (std::size_t i = 0; i < vocab; ++i)
        worst = std::max(worst, std::abs(logits[row + i] - std::log(sum) - expected[i]));
    }
  }
  return worst;
}

class Goldens : public ::testing::TestWithParam<const char*> {};

TEST_P(Goldens, AgreeInDecodeAndInPrefill) {
  const std::string stem = std::string(MEDLAR_SOURCE_DIR "/tests/goldens/tiny-") + GetParam();
  const Golden golden(stem);
  ASSERT_EQ(golden.tokens.size(), 96U);
  const gguf::File file = gguf::File::open(stem + ".gguf");
  const models::Model model = models::build(file);
  for (const std::size_t batch : {1, 5, 96})
    EXPECT_LT(difference(model.graph, golden, batch), 1e-3) << batch << " tokens at a time";
}

INSTANTIATE_TEST_SUITE_P(Tiny, Goldens,
                         ::testing::Values("llama", "llama3", "qwen2", "qwen3", "gemma3", "qwen3moe",
                                           "mixtral"));

}  // namespace
}  // namespace medlar
