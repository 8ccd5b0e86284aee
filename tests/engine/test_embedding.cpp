// Embeddings in a scheduler's gaps: what a text's vector is does not depend on how or beside whom it is read.
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/embedding.h"
#include "tests/support/tiny_model.h"

namespace medlar {
namespace {

using namespace std::chrono_literals;
using Tokens = std::vector<std::int32_t>;

Tokens text(int n, int step = 31, int first = 7) {
  Tokens tokens;
  for (int i = 0; i < n; ++i) tokens.push_back((i * step + first) % 256);
  return tokens;
}

// Waits for a request's end.
class Listener {
 public:
  EmbeddingRequest request(std::vector<Tokens> inputs, std::string client = "") {
    EmbeddingRequest r;
    r.inputs = std::move(inputs);
    r.client = std::move(client);
    r.on_done = [this](std::vector<Embedding>&& done) { set(std::move(done), ""); };
    r.on_failed = [this](const Error& error) { set({}, error.what()); };
    return r;
  }
  std::vector<Embedding> wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 60s, [&] { return ended_; }));
    return result_;
  }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return ended_;
  }
  std::string failed() {
    wait();
    return failed_;
  }

 private:
  void set(std::vector<Embedding>&& result, std::string failed) {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(ended_) << "told twice";
    result_ = std::move(result), failed_ = std::move(failed), ended_ = true;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Embedding> result_;
  std::string failed_;
  bool ended_ = false;
};

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) ab += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
  return ab / std::sqrt(aa * bb);
}

class EmbeddingTest : public ::testing::TestWithParam<const char*> {
 protected:
  EmbeddingTest() {
    testing::write_tiny_model(folder_ / "m.gguf",
                              {.architecture = GetParam(), .head_dim = 32, .context = 1024});
  }
  std::shared_ptr<Engine> load(int batch = 64) const {
    return Engine::load(folder_ / "m.gguf",
                        {.context = 512, .threads = 1, .batch = batch, .sequences = 4, .exact = true});
  }
  std::vector<Embedding> embed(Embedder& embedder, std::vector<Tokens> inputs) const {
    Listener listener;
    embedder.embed(listener.request(std::move(inputs)));
    return listener.wait();
  }
  testing::TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(Models, EmbeddingTest, ::testing::Values("llama", "qwen2", "gemma3"));

TEST_P(EmbeddingTest, PiecesAndNeighboursDoNotMatter) {
  Scheduler whole_scheduler(load(512)), scheduler(load(16));
  for (const Pooling pooling : {Pooling::none, Pooling::mean, Pooling::cls, Pooling::last}) {
    const auto whole = std::make_shared<Embedder>(whole_scheduler, pooling);
    const auto pieces = std::make_shared<Embedder>(scheduler, pooling);
    std::vector<Tokens> inputs;
    for (int i = 0; i < 50; ++i) inputs.push_back(text(1 + 9 * i, 31 + i));
    const std::vector<Embedding> together = embed(*pieces, inputs);
    ASSERT_EQ(together.size(), inputs.size());
    for (std::size_t i = 0; i < inputs.size(); i += 7) {
      const Embedding alone = embed(*whole, {inputs[i]}).at(0);
      ASSERT_EQ(alone.values.size(),
                static_cast<std::size_t>(alone.width) * (pooling == Pooling::none ? inputs[i].size() : 1));
      ASSERT_EQ(together[i].values.size(), alone.values.size());
      EXPECT_GT(cosine(alone.values, together[i].values), 0.99999) << to_string(pooling) << " " << i;
    }
  }
}

TEST_P(EmbeddingTest, PoolingsAreOfTheSameStates) {
  Scheduler scheduler(load());
  const Tokens input = text(150);
  const auto states = embed(*std::make_shared<Embedder>(scheduler, Pooling::none), {input}).at(0);
  const auto dim = static_cast<std::size_t>(states.width);
  const auto row = [&](std::size_t i) {
    return std::vector<float>(states.values.begin() + static_cast<std::ptrdiff_t>(i * dim),
                              states.values.begin() + static_cast<std::ptrdiff_t>((i + 1) * dim));
  };
  std::vector<float> mean(dim);
  for (std::size_t i = 0; i < input.size(); ++i)
    for (std::size_t j = 0; j < dim; ++j) mean[j] += states.values[i * dim + j] / 150.0F;
  const auto pooled = [&](Pooling p) {
    return embed(*std::make_shared<Embedder>(scheduler, p), {input}).at(0).values;
  };
  EXPECT_GT(cosine(pooled(Pooling::last), row(149)), 0.99999);
  EXPECT_GT(cosine(pooled(Pooling::cls), row(0)), 0.99999);
  EXPECT_GT(cosine(pooled(Pooling::mean), mean), 0.99999);
  EXPECT_LT(cosine(row(0), row(149)), 0.99);
}

TEST_P(EmbeddingTest, AnswersGoOnMeanwhile) {
  Scheduler scheduler(load(32));
  const auto embedder = std::make_shared<Embedder>(scheduler);
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Generation> finished;
  const auto ask = [&] {
    Request request;
    request.prompt = text(40);
    request.options.max_tokens = 60;
    request.options.ignore_end = true;
    request.options.sampler.temperature = 0;
    request.on_event = [&](RequestEvent&& event) {
      auto* done = std::get_if<Finished>(&event);
      if (!done) return;
      const std::lock_guard lock(mutex);
      finished = std::move(done->generation);
      changed.notify_all();
    };
    finished.reset();
    scheduler.submit(std::move(request));
  };
  const auto answer = [&] {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, 60s, [&] { return finished.has_value(); }));
    return finished->tokens;
  };
  ask();
  const Tokens alone = answer();
  Listener listener;
  embedder->embed(listener.request({60, text(500)}));
  ask();
  EXPECT_EQ(answer(), alone);
  EXPECT_FALSE(listener.ended()) << "30,000 tokens were read before an answer of 60";
  EXPECT_EQ(listener.wait().size(), 60U);
}

TEST_P(EmbeddingTest, ShortTextsDoNotWaitForLongOnes) {
  Scheduler scheduler(load(16));
  const auto embedder = std::make_shared<Embedder>(scheduler);
  Listener many, one;
  embedder->embed(many.request({40, text(500)}, "many"));
  embedder->embed(one.request({text(5)}, "one"));
  one.wait();
  EXPECT_FALSE(many.ended());
  many.wait();
}

TEST_P(EmbeddingTest, EndsInEveryWay) {
  auto scheduler = std::make_unique<Scheduler>(load(16));
  auto embedder = std::make_shared<Embedder>(*scheduler);
  Listener cancelled, late, good, left;
  const auto id = embedder->embed(cancelled.request({40, text(500)}));
  EmbeddingRequest request = late.request({text(9)});
  request.deadline = std::chrono::steady_clock::now() - 1s;
  embedder->embed(std::move(request));
  EXPECT_THAT(late.failed(), ::testing::HasSubstr("deadline"));
  embedder->cancel(id);
  embedder->embed(good.request({text(9)}));
  EXPECT_EQ(good.wait().size(), 1U);
  EXPECT_FALSE(cancelled.ended());
  embedder->embed(left.request({40, text(500)}));
  embedder.reset();
  scheduler.reset();
  EXPECT_THAT(left.failed(), ::testing::HasSubstr("shutting down"));
}

TEST_P(EmbeddingTest, ADrainWaitsForThem) {
  Scheduler scheduler(load(16));
  const auto embedder = std::make_shared<Embedder>(scheduler);
  Listener listener;
  embedder->embed(listener.request({20, text(100)}));
  scheduler.drain(std::chrono::steady_clock::now() + 60s);
  EXPECT_TRUE(listener.ended());
  EXPECT_THROW(embedder->embed(listener.request({text(3)})), Error);
}

TEST_P(EmbeddingTest, RefusesWhatCannotBe) {
  Scheduler scheduler(load());
  const auto embedder = std::make_shared<Embedder>(scheduler);
  Listener listener;
  for (const Tokens& bad : {Tokens{}, Tokens{-1}, Tokens{300}, text(513)})
    EXPECT_THROW(embedder->embed(listener.request({text(3), bad})), Error);
  EXPECT_THROW(embedder->embed(listener.request({})), Error);
  EXPECT_EQ(embed(*embedder, {text(512)}).size(), 1U);
  EXPECT_THROW(Embedder(scheduler, Pooling::rank), Error);
  EXPECT_THROW(parse_pooling("median"), Error);
  EXPECT_EQ(parse_pooling("mean"), Pooling::mean);
  EXPECT_FALSE(listener.ended());
}

}  // namespace
}  // namespace medlar
