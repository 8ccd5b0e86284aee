// Engine and Session on tiny models: streaming, stopping, limits, cancellation, reuse, damaged files.
#include <atomic>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/engine.h"
#include "tests/support/tiny_model.h"

namespace medlar {
namespace {

using ::testing::HasSubstr;

class EngineTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const testing::TinyModel& model = {.head_dim = 32}) {
    const auto path = folder_ / "m.gguf";
    testing::write_tiny_model(path, model);
    return path;
  }
  static std::vector<std::int32_t> prompt(int n) {
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < n; ++i) tokens.push_back((i * 31 + 7) % 256);
    return tokens;
  }
  static GenerateOptions greedy(std::int64_t max_tokens) {
    GenerateOptions options;
    options.max_tokens = max_tokens;
    options.sampler.temperature = 0;
    options.ignore_end = true;
    return options;
  }
  template <class F>
  static std::string error_of(F&& f) {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }

  testing::TemporaryFolder folder_;
};

TEST_F(EngineTest, StreamsExactlyWhatItReturns) {
  const auto engine = Engine::load(write(), {.threads = 2});
  Session session = engine->open_session();
  std::string streamed;
  GenerateOptions options = greedy(40);
  options.on_text = [&](std::string_view text) { streamed += text; };
  const Generation g = session.generate(prompt(20), options);
  EXPECT_EQ(g.text, streamed);
  EXPECT_EQ(g.tokens.size(), 40U);
  EXPECT_EQ(g.finish, FinishReason::length);
  EXPECT_EQ(g.usage.prompt_tokens, 20);
  EXPECT_EQ(g.usage.completion_tokens, 40);
  EXPECT_GT(g.timings.ttft_ms, 0);
}

TEST_F(EngineTest, ThePartAlreadyReadIsNotReadAgainAndChangesNothing) {
  for (const char* architecture : {"llama", "gemma3"}) {
    const auto engine = Engine::load(write({.architecture = architecture, .head_dim = 32}), {.threads = 1});
    Session session = engine->open_session();
    const auto first = prompt(50);
    const Generation a = session.generate(first, greedy(30));
    std::vector<std::int32_t> longer = first;
    longer.insert(longer.end(), a.tokens.begin(), a.tokens.begin() + 10);
    longer.push_back(5);
    const Generation cached = session.generate(longer, greedy(20));
    EXPECT_EQ(cached.usage.cached_tokens, 60) << architecture;
    session.reset();
    const Generation fresh = session.generate(longer, greedy(20));
    EXPECT_EQ(fresh.usage.cached_tokens, 0);
    EXPECT_EQ(cached.tokens, fresh.tokens) << architecture;
  }
}

TEST_F(EngineTest, ASlidingWindowThatCannotRewindReadsAgain) {
  const auto engine =
      Engine::load(write({.architecture = "gemma3", .head_dim = 32, .context = 2048}), {.batch = 64});
  Session session = engine->open_session();
  const auto text = prompt(1500);
  session.generate(text, greedy(1));
  const auto shorter = std::span(text).first(400);
  const Generation again = session.generate(shorter, greedy(8));
  EXPECT_EQ(again.usage.cached_tokens, 0);
  session.reset();
  EXPECT_EQ(session.generate(shorter, greedy(8)).tokens, again.tokens);
}

TEST_F(EngineTest, BatchSizeDoesNotChangeTheAnswer) {
  const auto path = write({.type = DType::q8_0, .head_dim = 32});
  std::vector<std::int32_t> expected;
  for (int batch : {512, 64, 7, 1}) {
    const auto engine = Engine::load(path, {.threads = 2, .batch = batch, .exact = true});
    Session session = engine->open_session();
    const auto tokens = session.generate(prompt(70), greedy(16)).tokens;
    if (expected.empty()) expected = tokens;
    EXPECT_EQ(tokens, expected) << batch;
  }
}

TEST_F(EngineTest, AFullContextEndsWithLengthAndSaysSo) {
  const auto engine = Engine::load(write(), {.context = 64});
  Session session = engine->open_session();
  const Generation g = session.generate(prompt(40), greedy(-1));
  EXPECT_EQ(g.finish, FinishReason::length);
  EXPECT_THAT(g.message, HasSubstr("context of 64 tokens is full"));
  // 40 read, 24 more evaluated, and one last token that needs no place.
  EXPECT_EQ(g.tokens.size(), 25U);
}

TEST_F(EngineTest, APromptThatLeavesNoRoomIsRefusedWithTheNumbers) {
  const auto engine = Engine::load(write(), {.context = 64});
  Session session = engine->open_session();
  EXPECT_THAT(error_of([&] { session.generate(prompt(64), greedy(1)); }),
              HasSubstr("prompt has 64 tokens and the context holds 64"));
  EXPECT_THAT(error_of([&] { session.generate({}, greedy(1)); }), HasSubstr("empty"));
  EXPECT_EQ(session.generate(prompt(63), greedy(5)).tokens.size(), 2U);
}

TEST_F(EngineTest, StopStringsEndTheAnswerBeforeThem) {
  const auto engine = Engine::load(write(), {});
  Session session = engine->open_session();
  const std::string whole = session.generate(prompt(20), greedy(60)).text;
  // Any later piece of the text, as long as it is whole characters: take printable ASCII.
  const auto at = std::find_if(whole.begin() + 5, whole.end(), [](char c) { return c > ' ' && c < 0x7F; }) -
                  whole.begin();
  ASSERT_LT(at, std::ssize(whole));
  GenerateOptions options = greedy(60);
  options.stop = {whole.substr(static_cast<std::size_t>(at), 1)};
  const Generation g = session.generate(prompt(20), options);
  EXPECT_EQ(g.finish, FinishReason::stop);
  EXPECT_EQ(g.text, whole.substr(0, whole.find(options.stop[0])));
}

TEST_F(EngineTest, CancellingEndsWithinAStep) {
  const auto engine = Engine::load(write(), {.batch = 8});
  Session session = engine->open_session();
  std::atomic<bool> cancel{false};
  GenerateOptions options = greedy(200);
  options.cancel = &cancel;
  int seen = 0;
  options.on_prompt = [&](std::int64_t done, std::int64_t) {
    seen = static_cast<int>(done), cancel = done >= 16;
  };
  const Generation g = session.generate(prompt(100), options);
  EXPECT_EQ(g.finish, FinishReason::cancelled);
  EXPECT_EQ(seen, 16);
  EXPECT_TRUE(g.tokens.empty());
  cancel = false;
  options.on_prompt = nullptr;
  options.on_text = [&](std::string_view) { cancel = true; };
  const Generation h = session.generate(prompt(100), options);
  EXPECT_EQ(h.finish, FinishReason::cancelled);
  EXPECT_LT(h.tokens.size(), 10U);
}

TEST_F(EngineTest, ScoreGivesTheLogitsThatGenerationSees) {
  const auto engine = Engine::load(write(), {.exact = true});
  Session session = engine->open_session();
  const auto tokens = prompt(45);
  std::int32_t best = -1;
  std::int64_t rows = 0;
  session.score(tokens, [&](std::int64_t first, std::span<const float> logits) {
    EXPECT_EQ(first, rows);
    rows += std::ssize(logits) / testing::kTinyVocab;
    const auto last = logits.last(testing::kTinyVocab);
    best = static_cast<std::int32_t>(std::max_element(last.begin(), last.end()) - last.begin());
  });
  EXPECT_EQ(rows, 45);
  EXPECT_EQ(session.generate(tokens, greedy(1)).tokens.at(0), best);
}

TEST_F(EngineTest, LogprobsAreReported) {
  const auto engine = Engine::load(write(), {});
  Session session = engine->open_session();
  GenerateOptions options = greedy(5);
  options.top_logprobs = 3;
  const Generation g = session.generate(prompt(10), options);
  ASSERT_EQ(g.logprobs.size(), 5U);
  for (const TokenInfo& t : g.logprobs) {
    ASSERT_EQ(t.best.size(), 3U);
    EXPECT_EQ(t.best[0].token, t.token);  // greedy
    EXPECT_FLOAT_EQ(t.best[0].logprob, t.logprob);
  }
}

TEST_F(EngineTest, OneSessionAtATime) {
  const auto engine = Engine::load(write(), {});
  {
    Session session = engine->open_session();
    EXPECT_THAT(error_of([&] { engine->open_session(); }), HasSubstr("already has an open session"));
  }
  EXPECT_EQ(error_of([&] { engine->open_session(); }), "no error");
}

TEST_F(EngineTest, ATruncatedFileIsAnErrorOfThatFile) {
  const auto path = write({.dim = 512, .ffn = 1024, .head_dim = 64});
  const auto engine = Engine::load(path, {});
  Session session = engine->open_session();
  session.generate(prompt(4), greedy(2));
  std::filesystem::resize_file(path, 4096);
  EXPECT_THAT(error_of([&] { session.generate(prompt(30), greedy(8)); }), HasSubstr("m.gguf"));
}

TEST_F(EngineTest, AnOverwrittenFileIsNoticed) {
  const auto path = write();
  const auto engine = Engine::load(path, {});
  Session session = engine->open_session();
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(5000).put('x');
  std::filesystem::last_write_time(path,
                                   std::filesystem::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_THAT(error_of([&] { session.generate(prompt(4), greedy(2)); }), HasSubstr("overwritten"));
}

TEST_F(EngineTest, AnUnlinkedFileKeepsServing) {
  const auto path = write();
  const auto engine = Engine::load(path, {});
  Session session = engine->open_session();
  std::filesystem::remove(path);
  EXPECT_EQ(session.generate(prompt(4), greedy(2)).tokens.size(), 2U);
}

TEST_F(EngineTest, WeightsThatAreNotNumbersEndDefined) {
  testing::TinyModel model{.head_dim = 32};
  const auto path = write(model);
  // The output norm is the second tensor: fill the whole data section's start with NaN.
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  file.seekp(size / 2 / 4 * 4);
  for (std::int64_t i = size / 2; i + 4 <= size; i += 4) file.write(reinterpret_cast<const char*>(&nan), 4);
  file.close();
  const auto engine = Engine::load(path, {});
  Session session = engine->open_session();
  const Generation g = session.generate(prompt(10), greedy(5));
  EXPECT_EQ(g.finish, FinishReason::no_token);
  EXPECT_TRUE(g.tokens.empty());
}

TEST_F(EngineTest, ArchitecturesThatCannotRunAreNamed) {
  EXPECT_THAT(error_of([&] { Engine::load(write({.architecture = "mamba"}), {}); }),
              HasSubstr("architecture \"mamba\""));
  EXPECT_THAT(error_of([&] { Engine::load(folder_ / "none.gguf", {}); }), HasSubstr("none.gguf"));
}

TEST_F(EngineTest, AnUnsuitableKvTypeIsRefused) {
  const auto path = write({.head_dim = 16});
  EXPECT_THAT(error_of([&] { Engine::load(path, {.k_type = DType::q8_0}); }),
              HasSubstr("16 values cannot be cached as q8_0"));
  EXPECT_EQ(error_of([&] { Engine::load(path, {}); }), "no error");
}

}  // namespace
}  // namespace medlar
