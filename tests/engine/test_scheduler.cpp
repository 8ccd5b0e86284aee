// Many requests on one engine: each gets what it would get alone, whatever happens to the others.
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/scheduler.h"
#include "tests/support/tiny_model.h"

namespace medlar {
namespace {

using namespace std::chrono_literals;
using Tokens = std::vector<std::int32_t>;

// Waits for a request's events and keeps them.
class Listener {
 public:
  std::function<void(RequestEvent&&)> sink() {
    return [this](RequestEvent&& event) {
      if (std::holds_alternative<TextDelta>(event)) std::this_thread::sleep_for(pause);
      const std::lock_guard lock(mutex_);
      if (auto* s = std::get_if<Started>(&event)) started = *s;
      if (auto* p = std::get_if<PromptProgress>(&event)) progress.push_back(*p);
      if (auto* d = std::get_if<TextDelta>(&event)) {
        streamed[d->choice] += d->text;
        probs += std::ssize(d->logprobs);
      }
      if (std::holds_alternative<Shifted>(event)) ++shifted;
      if (auto* f = std::get_if<Finished>(&event)) finished[f->choice] = std::move(f->generation);
      if (auto* f = std::get_if<Failed>(&event)) failed = f->error.what();
      ++events_;
      changed_.notify_all();
    };
  }
  void wait(std::size_t choices = 1) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, 60s, [&] { return finished.size() == choices || !failed.empty(); }));
  }
  void wait_started() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, 60s, [&] { return started.has_value(); }));
  }
  void wait_text() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, 60s, [&] { return !streamed.empty(); }));
  }

  std::optional<Started> started;
  std::vector<PromptProgress> progress;
  std::map<int, std::string> streamed;
  std::map<int, Generation> finished;
  std::string failed;
  std::ptrdiff_t probs = 0;
  std::chrono::milliseconds pause{0};  // at each piece of text, so that an answer does not end by itself
  std::size_t shifted = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int events_ = 0;
};

Tokens text(int n, int step = 31, int first = 7) {
  Tokens tokens;
  for (int i = 0; i < n; ++i) tokens.push_back((i * step + first) % 256);
  return tokens;
}

Tokens join(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class SchedulerTest : public ::testing::TestWithParam<const char*> {
 protected:
  SchedulerTest() {
    testing::write_tiny_model(folder_ / "m.gguf",
                              {.architecture = GetParam(), .head_dim = 32, .context = 1024});
  }

  // With f32 activations, so that rounding cannot depend on who else is in a step.
  std::shared_ptr<Engine> load(int sequences, std::int64_t cache, int batch = 64) const {
    return Engine::load(folder_ / "m.gguf", {.context = 512,
                                             .threads = 1,
                                             .batch = batch,
                                             .sequences = sequences,
                                             .cache = cache,
                                             .exact = true});
  }

  static GenerateOptions options(std::int64_t max_tokens, std::uint64_t seed = 0) {
    GenerateOptions o;
    o.max_tokens = max_tokens;
    o.ignore_end = true;
    o.sampler.temperature = seed == 0 ? 0 : 1;
    o.sampler.seed = seed;
    o.sampler.random_seed = false;
    return o;
  }

  Tokens alone(const Tokens& prompt, const GenerateOptions& o) const {
    Session session = load(1, 0)->open_session();
    return session.generate(prompt, o).tokens;
  }

  static Request request(Tokens prompt, const GenerateOptions& o, Listener& listener) {
    Request r;
    r.prompt = std::move(prompt);
    r.options = o;
    r.on_event = listener.sink();
    return r;
  }

  testing::TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(Models, SchedulerTest, ::testing::Values("llama", "gemma3"));

TEST_P(SchedulerTest, OneRequestIsAsASession) {
  Scheduler scheduler(load(2, 0));
  Listener listener;
  GenerateOptions o = options(40);
  o.top_logprobs = 2;
  scheduler.submit(request(text(100), o, listener));
  listener.wait();
  const Generation& g = listener.finished.at(0);
  EXPECT_EQ(g.tokens, alone(text(100), o));
  EXPECT_EQ(g.text, listener.streamed[0]);
  EXPECT_EQ(g.logprobs.size(), 40U);
  EXPECT_GT(listener.probs, 30);
  EXPECT_EQ(g.usage.prompt_tokens, 100);
  EXPECT_GT(g.timings.ttft_ms, 0);
  ASSERT_EQ(listener.progress.size(), 2U);
  EXPECT_EQ(listener.progress[0].done, 64);
  EXPECT_EQ(listener.progress[1].done, 100);
}

TEST_P(SchedulerTest, ManyAtOnceEachGetWhatTheyWouldGetAlone) {
  Scheduler scheduler(load(4, 2000));
  std::map<int, Listener> listeners;
  for (int i = 0; i < 12; ++i)
    scheduler.submit(
        request(text(20 + 17 * i, 31 + i), options(30 + i, 100U + static_cast<unsigned>(i)), listeners[i]));
  for (int i = 0; i < 12; ++i) {
    listeners[i].wait();
    EXPECT_EQ(listeners[i].finished.at(0).tokens,
              alone(text(20 + 17 * i, 31 + i), options(30 + i, 100U + static_cast<unsigned>(i))))
        << i;
  }
  EXPECT_EQ(scheduler.status().active, 0);
  EXPECT_EQ(scheduler.status().waiting, 0);
}

// With quantized weights, activations and cache, where another cut of the work rounds differently.
TEST_P(SchedulerTest, BatchInvarianceIsToTheBit) {
  testing::write_tiny_model(folder_ / "q.gguf", {.architecture = GetParam(),
                                                 .type = DType::q4_0,
                                                 .dim = 128,
                                                 .ffn = 160,
                                                 .head_dim = 32,
                                                 .context = 1024});
  const auto run = [&](int sequences, int batch, int threads, int others) {
    Scheduler scheduler(Engine::load(folder_ / "q.gguf", {.context = 512,
                                                          .threads = threads,
                                                          .batch = batch,
                                                          .sequences = sequences,
                                                          .cache = 512 * sequences,
                                                          .batch_invariant = true}));
    std::map<int, Listener> listeners;
    const int compared = others / 2;
    for (int i = 0; i <= others; ++i) {
      GenerateOptions o = options(40, i == compared ? 99U : 5U + static_cast<unsigned>(i));
      o.top_logprobs = 3;
      scheduler.submit(request(i == compared ? text(90) : text(20 + 23 * i, 3 + i), o, listeners[i]));
    }
    for (int i = 0; i <= others; ++i) listeners[i].wait();
    return listeners[compared].finished.at(0);
  };
  const Generation alone = run(1, 64, 1, 0);
  for (const auto& [sequences, batch, threads, others] :
       {std::array{1, 7, 1, 0}, std::array{4, 64, 1, 5}, std::array{8, 33, 2, 12},
        std::array{3, 512, 2, 3}}) {
    const Generation among = run(sequences, batch, threads, others);
    EXPECT_EQ(among.tokens, alone.tokens);
    ASSERT_EQ(among.logprobs.size(), alone.logprobs.size());
    for (std::size_t i = 0; i < alone.logprobs.size(); ++i) {
      ASSERT_EQ(among.logprobs[i].logprob, alone.logprobs[i].logprob)
          << i << " with " << sequences << " sequences in batches of " << batch;
      for (std::size_t k = 0; k < 3; ++k)
        EXPECT_EQ(among.logprobs[i].best[k].logprob, alone.logprobs[i].best[k].logprob);
    }
  }
}

TEST_P(SchedulerTest, ACommonPrefixIsReadOnce) {
  Scheduler scheduler(load(4, 2000));
  const Tokens prefix = text(200);
  std::map<int, Listener> listeners;
  std::map<int, Tokens> prompts;
  for (int i = 0; i < 4; ++i) {
    prompts[i] = join(prefix, text(10, 3 + i, 50 * i));
    scheduler.submit(request(prompts[i], options(20), listeners[i]));
  }
  std::int64_t cached = 0;
  for (int i = 0; i < 4; ++i) {
    listeners[i].wait();
    cached += listeners[i].finished.at(0).usage.cached_tokens;
    EXPECT_EQ(listeners[i].finished.at(0).tokens, alone(prompts[i], options(20))) << i;
  }
  EXPECT_GE(cached, 3 * 192);
}

TEST_P(SchedulerTest, TheNextTurnFindsTheLastAndAMissIsExplained) {
  Scheduler scheduler(load(2, 1000));
  Listener first, next, other, scoped;
  scheduler.submit(request(text(150), options(20), first));
  first.wait();
  const Tokens turn = join(join(text(150), first.finished[0].tokens), text(5));
  scheduler.submit(request(turn, options(5), next));
  next.wait();
  EXPECT_GE(next.started->cached_tokens, 169);
  EXPECT_FALSE(next.started->miss);
  EXPECT_EQ(next.finished[0].tokens, alone(turn, options(5)));

  Tokens changed = text(150);
  changed[100] = 'Z';
  scheduler.submit(request(changed, options(5), other));
  other.wait();
  EXPECT_EQ(other.started->cached_tokens, 100);
  ASSERT_TRUE(other.started->miss);
  EXPECT_EQ(other.started->miss->position, 100);
  EXPECT_NE(other.started->miss->given.find('Z'), std::string::npos);
  EXPECT_EQ(other.finished[0].tokens, alone(changed, options(5)));

  Request r = request(text(150), options(5), scoped);
  r.scope = "another key";
  scheduler.submit(std::move(r));
  scoped.wait();
  EXPECT_EQ(scoped.started->cached_tokens, 0);
  EXPECT_FALSE(scoped.started->miss);
}

TEST_P(SchedulerTest, APrefixOutlivesTheProcess) {
  const SchedulerOptions stored{.store = PrefixStoreOptions{.folder = folder_ / "pages"}};
  const auto run = [&](const Tokens& prompt, std::string scope = "") {
    Scheduler scheduler(load(2, 1000), stored);
    Listener listener;
    Request r = request(prompt, options(30), listener);
    r.scope = std::move(scope);
    scheduler.submit(std::move(r));
    listener.wait();
    EXPECT_EQ(listener.finished.at(0).tokens, alone(prompt, options(30)));
    return listener.started->cached_tokens;
  };
  const Tokens longer = join(text(300), text(40, 5));
  EXPECT_EQ(run(text(300)), 0);
  EXPECT_EQ(run(text(300)), 256);
  EXPECT_EQ(run(longer), 256);
  EXPECT_EQ(run(longer), 320);
  EXPECT_EQ(run(longer, "another key"), 0);
  testing::write_tiny_model(folder_ / "m.gguf",
                            {.architecture = GetParam(), .head_dim = 32, .context = 1024, .seed = 2});
  EXPECT_EQ(run(text(300)), 0);  // another model
}

TEST_P(SchedulerTest, SeveralAnswersShareThePrompt) {
  Scheduler scheduler(load(4, 2000));
  for (const int length : {64, 100, 129}) {
    Listener listener;
    Request r = request(text(length), options(25, 7), listener);
    r.choices = 3;
    scheduler.submit(std::move(r));
    listener.wait(3);
    for (unsigned i = 0; i < 3; ++i) {
      EXPECT_EQ(listener.finished.at(static_cast<int>(i)).tokens, alone(text(length), options(25, 7 + i)))
          << i;
      EXPECT_EQ(listener.finished.at(static_cast<int>(i)).text, listener.streamed[static_cast<int>(i)]);
    }
  }
}

TEST_P(SchedulerTest, WhoLosesItsPagesGoesOnLater) {
  Scheduler scheduler(load(4, 512));
  std::map<int, Listener> listeners;
  for (int i = 0; i < 4; ++i) scheduler.submit(request(text(60, 31 + 2 * i), options(200), listeners[i]));
  for (int i = 0; i < 4; ++i) {
    listeners[i].wait();
    EXPECT_EQ(listeners[i].finished.at(0).tokens, alone(text(60, 31 + 2 * i), options(200))) << i;
  }
  EXPECT_GT(scheduler.status().preempted, 0);
}

TEST_P(SchedulerTest, CancellingEndsSoonFromEveryState) {
  Scheduler scheduler(load(1, 0));
  Listener answering, waiting, after;
  answering.pause = 10ms;
  const auto first = scheduler.submit(request(text(20), options(-1), answering));
  const auto second = scheduler.submit(request(text(30), options(-1), waiting));
  answering.wait_text();
  scheduler.cancel(second);
  waiting.wait();
  EXPECT_EQ(waiting.finished[0].finish, FinishReason::cancelled);
  EXPECT_FALSE(waiting.started);
  scheduler.cancel(first);
  answering.wait();
  EXPECT_EQ(answering.finished[0].finish, FinishReason::cancelled);
  EXPECT_EQ(answering.finished[0].text, answering.streamed[0]);
  scheduler.cancel(first);  // fine
  scheduler.submit(request(text(20), options(10), after));
  after.wait();
  EXPECT_EQ(after.finished[0].tokens, alone(text(20), options(10)));
}

TEST_P(SchedulerTest, BackgroundWaitsForInteractive) {
  Scheduler scheduler(load(1, 0));
  Listener running, background, interactive;
  running.pause = 10ms;
  const auto first = scheduler.submit(request(text(20), options(-1), running));
  running.wait_text();
  Request low = request(text(40), options(400), background);
  low.priority = Priority::background;
  scheduler.submit(std::move(low));
  scheduler.submit(request(text(50), options(5), interactive));
  scheduler.cancel(first);
  interactive.wait();
  EXPECT_TRUE(background.finished.empty());
  background.wait();
}

TEST_P(SchedulerTest, LimitsAreErrorsAtOnce) {
  Scheduler scheduler(load(1, 0), {.queue = 1});
  Listener running, queued, late, never;
  running.pause = 10ms;
  EXPECT_THROW(scheduler.submit(request({}, options(1), never)), Error);
  EXPECT_THROW(scheduler.submit(request({5, 100000}, options(1), never)), Error);
  EXPECT_THROW(scheduler.submit(request(text(512), options(1), never)), Error);
  GenerateOptions wrong = options(1);
  wrong.sampler.top_p = -1;
  EXPECT_THROW(scheduler.submit(request(text(5), wrong, never)), Error);
  Request many = request(text(5), options(1), never);
  many.choices = 2;
  EXPECT_THROW(scheduler.submit(std::move(many)), Error);

  const auto first = scheduler.submit(request(text(20), options(-1), running));
  running.wait_text();
  Request r = request(text(20), options(5), late);
  r.deadline = std::chrono::steady_clock::now() + 1ms;
  scheduler.submit(std::move(r));
  late.wait();
  EXPECT_THAT(late.failed, ::testing::HasSubstr("deadline"));
  while (scheduler.status().waiting > 0) std::this_thread::yield();
  scheduler.submit(request(text(20), options(5), queued));
  EXPECT_THROW(scheduler.submit(request(text(20), options(5), never)), Error);
  scheduler.cancel(first);
  queued.wait();
  EXPECT_TRUE(never.finished.empty() && never.failed.empty());
}

TEST_P(SchedulerTest, AFullContextEndsTheAnswerAndSaysSo) {
  Scheduler scheduler(load(2, 600));
  Listener listener;
  scheduler.submit(request(text(400), options(-1), listener));
  listener.wait();
  const Generation& g = listener.finished[0];
  EXPECT_EQ(g.finish, FinishReason::length);
  EXPECT_THAT(g.message, ::testing::HasSubstr("512 tokens is full"));
  EXPECT_EQ(g.tokens, alone(text(400), options(-1)));
}

// What a shift gives is what a prompt of the tokens that were left would have given.
TEST_P(SchedulerTest, AShiftOnRequestReportsWhatItDropped) {
  Scheduler scheduler(load(2, 1200));
  Listener listener;
  Request r = request(text(450), options(300), listener);
  r.overflow = Overflow::shift;
  r.keep = 10;
  scheduler.submit(std::move(r));
  listener.wait();
  const Generation& g = listener.finished[0];
  EXPECT_EQ(g.tokens.size(), 300U);
  ASSERT_FALSE(g.dropped.empty());
  EXPECT_EQ(listener.shifted, g.dropped.size());
  const Tokens whole = join(text(450), g.tokens);
  std::int64_t end = 10;
  for (const DroppedTokens& d : g.dropped) {
    EXPECT_EQ(d.begin, end);
    EXPECT_GT(d.end, d.begin);
    end = d.end;
  }
  // At the first shift the timeline was one token longer than the context.
  EXPECT_EQ(g.dropped[0].end, 10 + (513 - 10) / 2);
  const std::size_t said = 513 - 450;
  Tokens left(whole.begin(), whole.begin() + 10);
  left.insert(left.end(), whole.begin() + g.dropped[0].end, whole.begin() + 513);
  const Tokens next = alone(left, options(50));
  EXPECT_EQ(next, Tokens(g.tokens.begin() + said, g.tokens.begin() + said + 50));
}

TEST_P(SchedulerTest, ALongPromptIsCutOnRequestAndSaysSo) {
  Scheduler scheduler(load(1, 0));
  Listener listener;
  Request r = request(text(1000), options(20), listener);
  r.overflow = Overflow::shift;
  r.keep = 50;
  scheduler.submit(std::move(r));
  listener.wait();
  ASSERT_TRUE(listener.started->dropped);
  const DroppedTokens d = *listener.started->dropped;
  EXPECT_EQ(d.begin, 50);
  EXPECT_EQ(d.end - d.begin, 1000 - (512 - 20));
  EXPECT_EQ(listener.started->prompt_tokens + (d.end - d.begin), 1000);
  const Tokens whole = text(1000);
  Tokens kept(whole.begin(), whole.begin() + 50);
  kept.insert(kept.end(), whole.begin() + d.end, whole.end());
  EXPECT_EQ(listener.finished[0].tokens, alone(kept, options(20)));
  EXPECT_EQ(listener.finished[0].usage.prompt_tokens, 1000);
  Request wrong = request(text(20), options(1), listener);
  wrong.keep = 300;
  EXPECT_THROW(scheduler.submit(std::move(wrong)), Error);
}

TEST_P(SchedulerTest, TrimmingForgetsWhatNobodyUsesAndChangesNoAnswer) {
  const auto engine = load(2, 2000);
  Scheduler scheduler(engine);
  const auto used = [&](MemoryUse use) { return engine->ledger().snapshot()[use].used; };
  const auto until = [&](auto condition) {
    for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(5ms);
    return condition();
  };
  Listener first;
  scheduler.submit(request(text(200), options(4), first));
  first.wait();
  EXPECT_TRUE(until([&] { return used(MemoryUse::cache) > 0 && used(MemoryUse::kv) == 0; }));
  scheduler.trim();
  EXPECT_TRUE(until([&] { return used(MemoryUse::cache) == 0; }));

  Listener second;
  second.pause = 2ms;
  scheduler.submit(request(text(200), options(40), second));
  second.wait_text();
  EXPECT_EQ(second.started->cached_tokens, 0);
  for (int i = 0; i < 10; ++i) {
    scheduler.trim();
    std::this_thread::sleep_for(3ms);
  }
  second.wait();
  EXPECT_EQ(second.finished.at(0).tokens, alone(text(200), options(40)));
}

TEST_P(SchedulerTest, ARestraintHoldsRequestsBackAndChangesNoAnswer) {
  Scheduler scheduler(load(4, 2000));
  scheduler.restrain({.active = 1, .chunk = 16, .background = false});
  std::map<int, Listener> listeners;
  Request background = request(text(50), options(10), listeners[0]);
  background.priority = Priority::background;
  scheduler.submit(std::move(background));
  for (int i = 1; i < 4; ++i) scheduler.submit(request(text(100, 3 + i), options(20), listeners[i]));
  for (int i = 1; i < 4; ++i) {
    listeners[i].wait();
    EXPECT_EQ(listeners[i].finished.at(0).tokens, alone(text(100, 3 + i), options(20))) << i;
    EXPECT_EQ(listeners[i].progress.size(), 7U) << i;  // 100 tokens, 16 at a time
  }
  EXPECT_FALSE(listeners[0].started);
  scheduler.restrain({});
  listeners[0].wait();
  EXPECT_EQ(listeners[0].finished.at(0).tokens, alone(text(50), options(10)));
}

TEST_P(SchedulerTest, ALedgerRefusesAModelThatDoesNotFit) {
  const auto ledger = Ledger::make(100'000);
  EXPECT_THROW(Engine::load(folder_ / "m.gguf", {.context = 512, .threads = 1, .ledger = ledger}), Error);
  EXPECT_EQ(ledger->snapshot().total().held, 0U);
}

TEST_P(SchedulerTest, EnginesShareATeamAndALedger) {
  const auto ledger = Ledger::make();
  const auto team = std::make_shared<Team>(TeamOptions{.threads = 2});
  std::vector<std::unique_ptr<Scheduler>> schedulers;
  std::map<int, Listener> listeners;
  for (int i = 0; i < 3; ++i)
    schedulers.push_back(std::make_unique<Scheduler>(Engine::load(
        folder_ / "m.gguf", {.context = 512, .batch = 64, .exact = true, .ledger = ledger, .team = team})));
  for (int i = 0; i < 3; ++i) schedulers[i]->submit(request(text(90), options(30), listeners[i]));
  for (int i = 0; i < 3; ++i) {
    listeners[i].wait();
    EXPECT_EQ(listeners[i].finished.at(0).tokens, alone(text(90), options(30)));
  }
  EXPECT_GT(ledger->snapshot()[MemoryUse::weights].held, 0U);
  schedulers.clear();
  EXPECT_EQ(ledger->snapshot().total().held, 0U);
  EXPECT_EQ(ledger->snapshot().total().used, 0U);
}

TEST_P(SchedulerTest, DrainLetsAnswersEnd) {
  Scheduler scheduler(load(2, 0));
  Listener quick, never;
  scheduler.submit(request(text(20), options(30), quick));
  scheduler.drain(std::chrono::steady_clock::now() + 30s);
  EXPECT_EQ(quick.finished.at(0).tokens.size(), 30U);
  EXPECT_THROW(scheduler.submit(request(text(20), options(5), never)), Error);
}

TEST_P(SchedulerTest, DrainCancelsAtTheDeadlineAndSoDoesDestruction) {
  Listener endless, left;
  endless.pause = left.pause = 10ms;
  {
    Scheduler scheduler(load(2, 0));
    GenerateOptions o = options(-1);
    scheduler.submit(request(text(20), o, left));
    left.wait_text();
  }
  left.wait();
  Scheduler scheduler(load(2, 0));
  scheduler.submit(request(text(20), options(-1), endless));
  endless.wait_text();
  scheduler.drain(std::chrono::steady_clock::now());
  endless.wait();
  EXPECT_EQ(endless.finished[0].finish, FinishReason::cancelled);
}

TEST_P(SchedulerTest, OnlyOneRunsAnEngine) {
  const auto engine = load(2, 0);
  {
    const Scheduler scheduler(engine);
    EXPECT_THROW(engine->open_session(), Error);
    EXPECT_THROW(Scheduler again(engine), Error);
  }
  EXPECT_NO_THROW(engine->open_session());
}

}  // namespace
}  // namespace medlar
