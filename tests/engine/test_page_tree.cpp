// Page bookkeeping: what is held, shared, copied, evicted, what slides away.
#include <numeric>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "engine/page_tree.h"

namespace medlar {
namespace {

using Tokens = std::vector<std::int32_t>;

// A tree with the tokens that each page of each group was last written with, as a program would have them.
struct Cache {
  PageTreeOptions options;
  std::vector<std::map<std::int32_t, Tokens>> pages;
  PageTree tree;
  std::map<int, Tokens> held;  // by sequence

  explicit Cache(PageTreeOptions o)
      : options(std::move(o)), pages(options.windows.size()), tree([this] {
          PageTreeOptions with = options;
          with.copy_page = [this](int g, std::int32_t from, std::int32_t to) {
            pages[static_cast<std::size_t>(g)][to] = pages[static_cast<std::size_t>(g)][from];
          };
          return with;
        }()) {}

  std::int64_t begin(int s, const Tokens& tokens, std::string_view scope = "") {
    const std::int64_t cached = tree.begin(s, scope, tokens).cached;
    held[s].assign(tokens.begin(), tokens.begin() + cached);
    return cached;
  }

  bool extend(int s, const Tokens& tokens) {
    if (!tree.extend(s, tokens)) return false;
    for (const std::int32_t token : tokens) {
      const std::size_t position = held[s].size();
      held[s].push_back(token);
      for (int g = 0; g < static_cast<int>(pages.size()); ++g) {
        const std::int32_t page = page_at(g, s, position / kPageTokens);
        EXPECT_GE(page, 0);
        Tokens& written = pages[static_cast<std::size_t>(g)][page];
        written.resize(position % kPageTokens);
        written.push_back(token);
      }
    }
    return true;
  }

  void end(int s) {
    tree.end(s);
    held.erase(s);
  }

  std::int32_t page_at(int group, int s, std::size_t i) const {
    const kernels::PageTable t = tree.table(group);
    return t.pages[static_cast<std::size_t>(s * t.stride) + i];
  }

  // Everything that the next token of each sequence sees is in its pages.
  void check() const {
    for (const auto& [s, tokens] : held) {
      ASSERT_EQ(tree.length(s), std::ssize(tokens));
      for (std::size_t g = 0; g < pages.size(); ++g) {
        const std::int64_t window = options.windows[g];
        const std::int64_t first = window ? std::max<std::int64_t>(0, std::ssize(tokens) - window + 1) : 0;
        for (auto p = static_cast<std::size_t>(first); p < tokens.size(); ++p) {
          const std::int32_t page = page_at(static_cast<int>(g), s, p / kPageTokens);
          ASSERT_GE(page, 0) << "position " << p;
          const Tokens& written = pages[g].at(page);
          ASSERT_GT(written.size(), p % kPageTokens);
          ASSERT_EQ(written[p % kPageTokens], tokens[p]) << "sequence " << s << ", position " << p;
        }
      }
    }
  }
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

std::size_t pages_of(const Cache& c, int group, int s) {
  std::set<std::int32_t> pages;
  for (std::int32_t i = 0; i < c.tree.table(group).stride; ++i)
    if (const std::int32_t p = c.page_at(group, s, static_cast<std::size_t>(i)); p >= 0) pages.insert(p);
  return pages.size();
}

TEST(PageTree, TakesPagesAsPositionsCome) {
  Cache c({.windows = {0}, .pages = {4}, .max_positions = 256});
  EXPECT_EQ(c.begin(0, {}), 0);
  EXPECT_TRUE(c.extend(0, numbers(1)));
  EXPECT_EQ(pages_of(c, 0, 0), 1U);
  EXPECT_TRUE(c.extend(0, numbers(63)));
  EXPECT_EQ(pages_of(c, 0, 0), 1U);
  EXPECT_TRUE(c.extend(0, numbers(1)));
  EXPECT_EQ(pages_of(c, 0, 0), 2U);
  EXPECT_TRUE(c.extend(0, numbers(191)));
  EXPECT_FALSE(c.extend(0, numbers(1)));  // beyond max_positions
  EXPECT_EQ(c.tree.length(0), 256);
  c.check();
}

// Two timelines part in the middle of a page, and the second fills its copy with what the first had there.
TEST(PageTree, PagesThatCameToBeAlikeBecomeOne) {
  Cache c({.windows = {0}, .pages = {20}, .max_sequences = 2, .max_positions = 640});
  const Tokens prompt = numbers(100);
  const Tokens first = join(prompt, join(numbers(60, 500), numbers(40, 1000)));
  const Tokens second = join(prompt, join(numbers(60, 500), numbers(90, 2000)));
  c.begin(0, {});
  ASSERT_TRUE(c.extend(0, first));
  EXPECT_EQ(c.begin(1, prompt), 100);
  ASSERT_TRUE(c.extend(1, Tokens(second.begin() + 100, second.end())));
  c.end(0);
  c.end(1);
  EXPECT_EQ(c.tree.usage().kept, 2 + 2 + 2);  // alike up to 160: two pages for both, and two of each
  EXPECT_EQ(c.begin(0, first), std::ssize(first));
  EXPECT_EQ(c.begin(1, second), std::ssize(second));
  c.check();
}

TEST(PageTree, SharesWholePagesAndCopiesAPart) {
  Cache c({.windows = {0}, .pages = {20}, .max_sequences = 3, .max_positions = 640});
  c.begin(0, {});
  ASSERT_TRUE(c.extend(0, numbers(150)));
  EXPECT_EQ(c.begin(1, join(numbers(140), numbers(50, 1000))), 140);
  EXPECT_EQ(c.page_at(0, 1, 0), c.page_at(0, 0, 0));
  EXPECT_EQ(c.page_at(0, 1, 1), c.page_at(0, 0, 1));
  EXPECT_NE(c.page_at(0, 1, 2), c.page_at(0, 0, 2));
  ASSERT_TRUE(c.extend(1, numbers(50, 1000)));
  ASSERT_TRUE(c.extend(0, numbers(100, 150)));
  c.check();
  c.end(0);
  EXPECT_EQ(c.begin(0, numbers(250)), 250);  // it stayed, the last part of a page too
  EXPECT_EQ(c.begin(2, join(numbers(140), numbers(50, 1000))), 190);
  c.check();
  EXPECT_EQ(c.tree.cached("", numbers(250)), 192);
}

TEST(PageTree, ScopesShareNothing) {
  Cache c({.windows = {0}, .pages = {20}, .max_sequences = 2, .max_positions = 640});
  c.begin(0, {}, "one");
  ASSERT_TRUE(c.extend(0, numbers(200)));
  EXPECT_EQ(c.begin(1, numbers(200), "other"), 0);
  EXPECT_EQ(c.tree.cached("one", numbers(200)), 192);
  EXPECT_EQ(c.tree.cached("other", numbers(200)), 0);
}

TEST(PageTree, SaysWhereATimelineLeft) {
  Cache c({.windows = {0}, .pages = {20}, .max_sequences = 2, .max_positions = 640});
  c.begin(0, {});
  ASSERT_TRUE(c.extend(0, numbers(200)));
  const auto begun = c.tree.begin(1, "", join(numbers(70), {7, 7, 7}));
  ASSERT_TRUE(begun.divergence);
  EXPECT_EQ(begun.divergence->position, 70);
  EXPECT_EQ(begun.divergence->cached, numbers(16, 70));
  c.tree.end(1);
  EXPECT_FALSE(c.tree.begin(1, "", join(numbers(200), {7})).divergence);  // it goes on
  c.tree.end(1);
  EXPECT_FALSE(c.tree.begin(1, "new", numbers(10)).divergence);
  c.tree.end(1);
  const auto at_page = c.tree.begin(1, "", join(numbers(128), {7}));
  ASSERT_TRUE(at_page.divergence);
  EXPECT_EQ(at_page.divergence->position, 128);
  EXPECT_EQ(at_page.divergence->cached, numbers(16, 128));
}

TEST(PageTree, EvictsTheLeastRecentlyUsed) {
  Cache c({.windows = {0}, .pages = {6}, .max_positions = 384});
  for (const std::int32_t first : {0, 1000, 2000}) {  // two pages each
    c.begin(0, {});
    ASSERT_TRUE(c.extend(0, numbers(128, first)));
    c.end(0);
  }
  EXPECT_EQ(c.begin(0, numbers(128)), 128);  // used again
  c.end(0);
  c.begin(0, {});
  ASSERT_TRUE(c.extend(0, numbers(100, 3000)));
  c.end(0);
  EXPECT_EQ(c.tree.cached("", numbers(128)), 128);
  EXPECT_EQ(c.tree.cached("", numbers(128, 1000)), 0);
  EXPECT_EQ(c.tree.cached("", numbers(128, 2000)), 128);
}

TEST(PageTree, NeverEvictsWhatIsInUse) {
  Cache c({.windows = {0}, .pages = {5}, .max_sequences = 2, .max_positions = 256});
  c.begin(0, {}), c.begin(1, {});
  EXPECT_TRUE(c.extend(0, numbers(100)));
  EXPECT_TRUE(c.extend(1, numbers(100, 500)));
  EXPECT_FALSE(c.extend(1, numbers(100)));  // one page left, two needed: nothing changes
  EXPECT_EQ(c.tree.length(1), 100);
  EXPECT_EQ(pages_of(c, 0, 1), 2U);
  c.check();
  c.end(0);
  EXPECT_TRUE(c.extend(1, numbers(100)));
  c.check();
}

TEST(PageTree, ForksShareAndGoTheirWays) {
  Cache c({.windows = {0, 100}, .pages = {8, 8}, .max_sequences = 3, .max_positions = 512});
  c.begin(0, {});
  ASSERT_TRUE(c.extend(0, numbers(100)));
  ASSERT_TRUE(c.tree.fork(0, 1));
  c.held[1] = c.held[0];
  EXPECT_EQ(c.page_at(0, 1, 0), c.page_at(0, 0, 0));
  ASSERT_TRUE(c.extend(0, numbers(100, 1000)));
  ASSERT_TRUE(c.extend(1, numbers(100, 2000)));
  c.check();
  ASSERT_TRUE(c.extend(0, numbers(60, 3000)));
  EXPECT_FALSE(c.tree.fork(1, 2));  // no page is left for the part
}

TEST(PageTree, WindowsSlide) {
  constexpr std::int64_t kWindow = 128, kBatch = 32, kContext = 10000;
  const std::int32_t pages = kv_pages_needed(kContext, kWindow, kBatch);
  Cache c({.windows = {kWindow, 0},
           .pages = {pages, kv_pages_needed(kContext, 0, kBatch)},
           .max_positions = kContext});
  c.begin(0, {});
  for (std::int64_t n = 0; n + kBatch <= kContext; n += kBatch) {
    ASSERT_TRUE(c.extend(0, numbers(kBatch, static_cast<std::int32_t>(n)))) << n;
    for (std::int64_t p = std::max<std::int64_t>(0, n - kWindow + 1); p < n + kBatch; ++p)
      EXPECT_GE(c.page_at(0, 0, static_cast<std::size_t>(p / kPageTokens)), 0);
  }
  c.check();
  EXPECT_LE(pages_of(c, 0, 0), static_cast<std::size_t>(pages));
  EXPECT_EQ(pages_of(c, 1, 0), 156U);
}

TEST(PageTree, RewindsWhileTheWindowIsThere) {
  Cache c({.windows = {64}, .pages = {kv_pages_needed(4096, 64, 64)}, .max_positions = 4096});
  c.begin(0, {});
  for (std::int32_t n = 0; n < 2048; n += 64) ASSERT_TRUE(c.extend(0, numbers(64, n)));
  c.end(0);
  EXPECT_EQ(c.begin(0, numbers(2048 - 200)), 2048 - 200);
  c.check();
  c.end(0);
  EXPECT_EQ(c.begin(0, numbers(500)), 0);  // slid away
}

TEST(PageTree, ReportsFreedPagesOnce) {
  Cache c({.windows = {0}, .pages = {4}, .max_positions = 256});
  c.begin(0, {});
  ASSERT_TRUE(c.extend(0, numbers(256)));
  c.end(0);
  EXPECT_TRUE(c.tree.take_released(0).empty());  // it stays for others
  c.begin(0, numbers(128));
  c.tree.forget_unused();
  EXPECT_EQ(c.tree.take_released(0).size(), 2U);
  EXPECT_TRUE(c.tree.take_released(0).empty());
  EXPECT_EQ(c.tree.usage().used, 2);
  EXPECT_EQ(c.tree.usage().kept, 0);
}

TEST(PageTree, NoPageForACopyTakesThePageItself) {
  Cache c({.windows = {0}, .pages = {2}, .max_positions = 128});
  c.begin(0, {});
  ASSERT_TRUE(c.extend(0, numbers(128)));
  c.end(0);
  EXPECT_EQ(c.begin(0, numbers(100)), 100);
  ASSERT_TRUE(c.extend(0, numbers(28, 500)));
  c.check();
}

// Random sequences that begin alike, grow, fork and end, against what each should hold.
TEST(PageTree, StaysRightUnderRandomUse) {
  for (const std::uint32_t seed : {1U, 2U, 3U, 4U}) {
    std::mt19937 random(seed);
    const auto below = [&](std::uint32_t n) { return random() % n; };
    Cache c({.windows = {0, 96}, .pages = {40, 24}, .max_sequences = 4, .max_positions = 640});
    std::vector<Tokens> known = {{}};
    int failed = 0, shared = 0;
    for (int i = 0; i < 3000; ++i) {
      const int s = static_cast<int>(below(4));
      if (!c.held.contains(s)) {
        Tokens wanted = known[below(static_cast<std::uint32_t>(known.size()))];
        wanted.resize(below(static_cast<std::uint32_t>(wanted.size()) + 1));
        for (std::uint32_t n = below(100); n > 0; --n) wanted.push_back(static_cast<std::int32_t>(below(2)));
        const std::string scope = below(4) == 0 ? "b" : "a";
        shared += c.begin(s, wanted, scope) > 0;
      } else if (below(12) == 0) {
        known.push_back(c.held[s]);
        c.end(s);
      } else if (const int to = static_cast<int>(below(4)); below(6) == 0 && !c.held.contains(to)) {
        if (c.tree.fork(s, to)) c.held[to] = c.held[s];
      } else {
        Tokens more(below(90) + 1);
        for (std::int32_t& t : more) t = static_cast<std::int32_t>(below(2));
        if (!c.extend(s, more)) ++failed, known.push_back(c.held[s]), c.end(s);
      }
      c.check();
      if (HasFatalFailure()) FAIL() << "seed " << seed << ", step " << i;
    }
    EXPECT_GT(shared, 50);
    EXPECT_GT(failed, 5);
    while (!c.held.empty()) c.end(c.held.begin()->first);
    c.tree.forget_unused();
    EXPECT_EQ(c.tree.usage().used + c.tree.usage().kept, 0);
  }
}

}  // namespace
}  // namespace medlar
