// States of recurrent layers in the tree of pages: whatever begins, goes on, is forked, ends or loses its
// page, no sequence ever goes on from a state of other tokens than its own.
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine/page_tree.h"

namespace medlar {
namespace {

using Tokens = std::vector<std::int32_t>;
constexpr int kStates = 1;  // the group; the other keeps all keys and values

// A tree over a group that keeps everything and one of states; of each page of states the tokens it is of, as
// a program would leave them there.
class Cache {
 public:
  Cache(std::int32_t pages, std::int32_t states, std::int32_t sequences)
      : tree({.windows = {0, kernels::kRecurrent},
              .pages = {pages, states},
              .max_sequences = sequences,
              .max_positions = 640,
              .copy_page = [this](int g, std::int32_t from, std::int32_t to) {
                if (g == kStates) states_[to] = states_[from];
              }}) {}

  std::int64_t begin(int s, const Tokens& tokens) {
    const std::int64_t cached = tree.begin(s, "", tokens).cached;
    held[s].assign(tokens.begin(), tokens.begin() + cached);
    return cached;
  }
  // Makes room only; step() runs what has been added since the last one.
  bool extend(int s, const Tokens& tokens) {
    if (!tree.extend(s, tokens)) return false;
    added_[s] = tokens;
    return true;
  }
  void step() {
    for (const auto& [s, tokens] : added_) run(s, tokens);
    added_.clear();
  }
  bool add(int s, const Tokens& tokens) {
    if (!extend(s, tokens)) return false;
    step();
    return true;
  }
  bool fork(int from, int to) {
    if (!tree.fork(from, to)) return false;
    held[to] = held[from];
    return true;
  }
  void end(int s) {
    tree.end(s);
    held.erase(s);
  }
  std::int32_t page(int s, std::int64_t position) const {
    const kernels::PageTable t = tree.table(kStates);
    return t.pages[static_cast<std::size_t>(s * t.stride + position / kPageTokens)];
  }

  PageTree tree;
  std::map<int, Tokens> held;  // by sequence

 private:
  // As kernels do (kernels/args.h: StatePages).
  void run(int s, const Tokens& tokens) {
    Tokens& state = held[s];
    if (!state.empty()) {
      const std::int32_t from = page(s, std::ssize(state) - 1);
      ASSERT_GE(from, 0) << "no state after " << state.size() << " tokens";
      ASSERT_EQ(states_.at(from), state) << "sequence " << s << " goes on from another's state";
    }
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      state.push_back(tokens[i]);
      const std::int32_t to = page(s, std::ssize(state) - 1);
      const bool last = i + 1 == tokens.size();
      if (last) {
        ASSERT_GE(to, 0);
      }
      if (to >= 0 && (last || std::ssize(state) % kPageTokens == 0)) states_[to] = state;
    }
  }

  std::map<std::int32_t, Tokens> states_;  // by page
  std::map<int, Tokens> added_;
};

Tokens numbers(std::int64_t n, std::int32_t first = 0) {
  Tokens t(static_cast<std::size_t>(n));
  std::iota(t.begin(), t.end(), first);
  return t;
}

Tokens join(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(StatePages, ASequenceGoesOnWhereItEnded) {
  Cache c(20, 6, 1);
  c.begin(0, {});
  ASSERT_TRUE(c.add(0, numbers(100)));
  ASSERT_TRUE(c.add(0, numbers(1, 100)));
  c.end(0);
  EXPECT_EQ(c.begin(0, join(numbers(101), numbers(5, 900))), 101);
  ASSERT_TRUE(c.add(0, numbers(5, 900)));
}

TEST(StatePages, WhereTextsPartTheNearestSnapshotBeforeServes) {
  Cache c(20, 6, 2);
  c.begin(0, {});
  ASSERT_TRUE(c.add(0, numbers(300)));  // kept at 256, the end of the last whole page, and at 300
  EXPECT_EQ(c.begin(1, numbers(299)), 256);
  EXPECT_EQ(c.tree.cached("", numbers(300)), 256);
  c.end(1);
  EXPECT_EQ(c.begin(1, numbers(250)), 0);
  c.end(1);
  EXPECT_EQ(c.begin(1, numbers(300)), 300);  // a copy
  ASSERT_TRUE(c.add(1, numbers(70, 700)));
  ASSERT_TRUE(c.add(0, numbers(70, 300)));
}

TEST(StatePages, AnswersLeaveSnapshotsThatGoFirst) {
  Cache c(40, 2 + 3, 1);
  c.begin(0, {});
  ASSERT_TRUE(c.add(0, numbers(140)));  // kept at 128
  for (std::int32_t i = 0; i < 400; ++i) ASSERT_TRUE(c.add(0, {140 + i}));
  c.end(0);
  EXPECT_EQ(c.begin(0, numbers(139)), 128);
  c.end(0);
  EXPECT_EQ(c.begin(0, numbers(540)), 540);
}

TEST(StatePages, StatesOfARunningStepAreNotTakenForOthers) {
  Cache c(40, state_pages_needed(3, 0), 3);
  for (int s = 0; s < 3; ++s) {
    c.begin(s, {});
    ASSERT_TRUE(c.add(s, numbers(64, 1000 * s)));
  }
  // Each reads its state from the page it leaves and needs another.
  for (int round = 1; round < 5; ++round) {
    for (int s = 0; s < 3; ++s) ASSERT_TRUE(c.extend(s, numbers(64, 1000 * s + 64 * round))) << round;
    c.step();
  }
}

TEST(StatePages, NoSequenceGoesOnFromAnothersState) {
  std::mt19937 random(5);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (const std::int32_t kept : {0, 2, 40}) {
    constexpr int kSequences = 4;
    Cache c(60, state_pages_needed(kSequences, kept), kSequences);
    std::vector<Tokens> texts;  // that others may begin alike
    std::int64_t reused = 0;
    for (int round = 0; round < 3000 && !testing::Test::HasFailure(); ++round) {
      const int s = below(kSequences);
      if (!c.held.contains(s)) {
        Tokens prompt = texts.empty()
                            ? numbers(0)
                            : texts[static_cast<std::size_t>(below(static_cast<int>(texts.size())))];
        prompt.resize(static_cast<std::size_t>(below(static_cast<int>(prompt.size()) + 1)));
        reused += c.begin(s, prompt);
        continue;
      }
      const int other = below(kSequences);
      if (const int what = below(10); what == 0) {
        texts.push_back(c.held[s]);
        c.end(s);
      } else if (what == 1 && !c.held.contains(other)) {
        c.fork(s, other);
      } else {
        // Several add to one step.
        for (int i = 0; i < 1 + below(3); ++i) {
          const int t = (s + i) % kSequences;
          if (!c.held.contains(t)) continue;
          const std::int64_t n = below(3) == 0 ? 1 : 1 + below(150);
          // Few different tokens, so that texts come to be alike.
          Tokens more(static_cast<std::size_t>(n), below(2));
          if (!c.extend(t, more)) c.step(), c.end(t);
        }
        c.step();
      }
    }
    EXPECT_GT(reused, 1000) << kept;
  }
}

// In a group with a window, too, a page that the running step reads is not taken for another's tokens.
TEST(StatePages, PagesThatARunningStepReadsStay) {
  PageTree tree({.windows = {64}, .pages = {5}, .max_sequences = 2, .max_positions = 6400, .copy_page = {}});
  tree.begin(0, "", {});
  tree.begin(1, "", {});
  ASSERT_TRUE(tree.extend(0, numbers(128)));
  ASSERT_TRUE(tree.extend(1, numbers(64, 500)));
  ASSERT_TRUE(tree.extend(0, numbers(128, 128)));  // its first token sees from 65 on
  tree.extend(1, numbers(128, 564));               // wants two pages, and there is one that nobody needs
  const kernels::PageTable table = tree.table(0);
  EXPECT_GE(table.pages[1], 0);
}

}  // namespace
}  // namespace medlar
