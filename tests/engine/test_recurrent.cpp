// Recurrent models in sessions and in the scheduler: what is reused of a cache with states gives the answers
// that reading everything gives.
#include <filesystem>
#include <future>
#include <list>

#include <gtest/gtest.h>

#include "engine/scheduler.h"

namespace medlar {
namespace {

using Tokens = std::vector<std::int32_t>;

Tokens text(int n, int step = 31, int first = 7) {
  Tokens tokens;
  for (int i = 0; i < n; ++i) tokens.push_back((i * step + first) % 256);
  return tokens;
}

Tokens join(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

GenerateOptions options(std::int64_t max_tokens, std::uint64_t seed) {
  GenerateOptions o;
  o.max_tokens = max_tokens;
  o.ignore_end = true;
  o.sampler.temperature = 1;
  o.sampler.seed = seed;
  o.sampler.random_seed = false;
  return o;
}

class RecurrentModels : public ::testing::TestWithParam<const char*> {
 protected:
  std::shared_ptr<Engine> load(int sequences, std::int64_t cache, int batch = 48) const {
    const std::filesystem::path folder = MEDLAR_SOURCE_DIR "/tests/goldens";
    return Engine::load(folder / (std::string("tiny-") + GetParam() + ".gguf"), {.context = 512,
                                                                                 .threads = 1,
                                                                                 .batch = batch,
                                                                                 .sequences = sequences,
                                                                                 .cache = cache,
                                                                                 .device = Device::cpu,
                                                                                 .exact = true});
  }
  Generation alone(const Tokens& prompt, const GenerateOptions& o) const {
    return load(1, 0)->open_session().generate(prompt, o);
  }
};

INSTANTIATE_TEST_SUITE_P(Models, RecurrentModels, ::testing::Values("lfm2", "qwen35", "granitehybrid"));

TEST_P(RecurrentModels, ATimelineThatPartsAnywhereIsAsOneReadWhole) {
  Session session = load(1, 0)->open_session();
  const Tokens all = text(300);
  Generation first = session.generate(all, options(40, 3));
  EXPECT_EQ(first.tokens, alone(all, options(40, 3)).tokens);

  // It goes on where it ended.
  const Tokens second = join(join(all, first.tokens), text(20, 5));
  const Generation on = session.generate(second, options(20, 4));
  EXPECT_EQ(on.tokens, alone(second, options(20, 4)).tokens);
  EXPECT_EQ(on.usage.cached_tokens, 340);

  // Elsewhere a snapshot before serves.
  for (const int parts : {330, 299, 257, 256, 200, 64, 63, 1}) {
    const Tokens other = join(Tokens(second.begin(), second.begin() + parts), text(30, 11, parts));
    const Generation g = session.generate(other, options(8, 5));
    EXPECT_EQ(g.tokens, alone(other, options(8, 5)).tokens) << parts;
    EXPECT_LE(g.usage.cached_tokens, parts);
    if (parts >= 256) {
      EXPECT_GE(g.usage.cached_tokens, parts - 64) << parts;
    }
    session.generate(second, options(1, 1));
  }
}

TEST_P(RecurrentModels, ManyAtOnceEachGetWhatTheyWouldGetAlone) {
  struct Asked {
    Request request;
    std::promise<void> done;
    std::map<int, Generation> finished;
  };
  for (const std::int64_t cache : {2000, 640}) {  // the second too small: some lose their pages
    Scheduler scheduler(load(4, cache));
    std::list<Asked> all;
    for (int i = 0; i < 10; ++i) {
      Asked& asked = all.emplace_back();
      asked.request.prompt = join(text(130), text(10 + 13 * i, 3 + i / 2));
      asked.request.options = options(25 + i, 50U + static_cast<unsigned>(i));
      asked.request.choices = i % 3 == 2 ? 2 : 1;
      asked.request.on_event = [&asked](RequestEvent&& event) {
        if (auto* f = std::get_if<Finished>(&event)) {
          asked.finished[f->choice] = std::move(f->generation);
          if (std::ssize(asked.finished) == asked.request.choices) asked.done.set_value();
        }
        if (std::holds_alternative<Failed>(event)) asked.done.set_value();
      };
      Request request = asked.request;
      scheduler.submit(std::move(request));
    }
    for (Asked& asked : all) {
      asked.done.get_future().wait();
      ASSERT_TRUE(asked.finished.contains(0));
      EXPECT_EQ(asked.finished.at(0).tokens, alone(asked.request.prompt, asked.request.options).tokens);
    }
    EXPECT_EQ(scheduler.status().active, 0);
  }
}

// States have their place in the plan, and what is used of it stays within that.
TEST_P(RecurrentModels, StatesAreInThePlan) {
  const auto engine = load(2, 1024);
  EXPECT_GT(engine->memory_plan().state, 0);
  EXPECT_GT(engine->memory_plan().kv, 0);
}

}  // namespace
}  // namespace medlar
