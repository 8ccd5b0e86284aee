// Pages on disk: found after a restart, never foreign, never damaged, never too many.
#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <set>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/prefix_store.h"
#include "tests/support/tiny_model.h"

namespace medlar {
namespace {

namespace fs = std::filesystem;
using Name = PrefixStore::Name;
using Page = PrefixStore::Page;

Page page_of(int seed, std::size_t bytes = 5000) {
  Page page(bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    page[i] = static_cast<std::byte>(i * 7 + static_cast<std::size_t>(seed));
  return page;
}

std::vector<Page> load(PrefixStore& store, std::vector<Name> names) {
  std::vector<Page> pages;
  store.load(std::move(names), [&](std::vector<Page> found) { pages = std::move(found); });
  store.flush();
  return pages;
}

std::vector<Name> chain(const PrefixStore& store, std::string_view scope, int pages, std::int32_t first = 0) {
  std::vector<Name> names;
  Name name = store.root(scope);
  for (int i = 0; i < pages; ++i) {
    const std::vector<std::int32_t> tokens(64, first + i);
    names.push_back(name = store.next(name, tokens));
  }
  return names;
}

class PrefixStoreTest : public ::testing::Test {
 protected:
  PrefixStoreOptions options(std::int64_t max_bytes = 1 << 20) const {
    return {.folder = folder_ / "pages", .max_bytes = max_bytes, .log = {}};
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_ / "pages"))
      if (entry.path().extension() == ".page") found.push_back(entry.path());
    std::ranges::sort(found);
    return found;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(PrefixStoreTest, SurvivesARestart) {
  {
    PrefixStore store(options(), "model");
    const auto names = chain(store, "a", 5);
    for (int i = 0; i < 5; ++i) store.save(names[static_cast<std::size_t>(i)], page_of(i));
  }
  PrefixStore store(options(), "model");
  const auto names = chain(store, "a", 7);
  const auto pages = load(store, names);
  ASSERT_EQ(pages.size(), 5U);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(pages[static_cast<std::size_t>(i)], page_of(i));
  EXPECT_TRUE(store.has(names[4]));
  EXPECT_FALSE(store.has(names[5]));
}

TEST_F(PrefixStoreTest, NothingIsSharedAcrossScopesModelsOrTexts) {
  PrefixStore store(options(), "model"), other(options(), "other model");
  std::set<Name> names;
  std::size_t count = 0;
  for (const PrefixStore* s : {&store, &other})
    for (const char* scope : {"a", "b", ""})
      for (const std::int32_t first : {0, 1})
        for (const Name& name : chain(*s, scope, 3, first)) names.insert(name), ++count;
  EXPECT_EQ(names.size(), count);
  store.save(chain(store, "a", 1)[0], page_of(1));
  store.flush();
  EXPECT_FALSE(store.has(chain(store, "b", 1)[0]));
}

TEST_F(PrefixStoreTest, IsUnreadableWithoutTheSecretAndForItsOwnerAlone) {
  Page page = page_of(3);
  const std::string text = "a very secret conversation about pears";
  std::memcpy(page.data() + 100, text.data(), text.size());
  {
    PrefixStore store(options(), "model");
    store.save(chain(store, "a", 1)[0], page);
  }
  ASSERT_EQ(files().size(), 1U);
  std::ifstream in(files()[0], std::ios::binary);
  const std::string contents{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(contents.find("secret"), std::string::npos);
  EXPECT_EQ(fs::status(folder_ / "pages").permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(folder_ / "pages" / "secret").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  fs::remove(folder_ / "pages" / "secret");
  PrefixStore store(options(), "model");
  EXPECT_FALSE(store.has(chain(store, "a", 1)[0]));  // another secret: other names
}

TEST_F(PrefixStoreTest, AnyDamageMakesItNoPage) {
  std::string good;
  {
    PrefixStore store(options(), "model");
    store.save(chain(store, "a", 1)[0], page_of(1, 40));
    store.flush();
    std::ifstream in(files()[0], std::ios::binary);
    good.assign(std::istreambuf_iterator<char>(in), {});
  }
  std::vector<std::string> bad = {"", good.substr(0, 8), good.substr(0, good.size() - 1), good + "x"};
  for (std::size_t i = 0; i < good.size(); ++i) {
    bad.push_back(good);
    bad.back()[i] = static_cast<char>(bad.back()[i] ^ 1);
  }
  const fs::path path = files()[0];
  for (const std::string& contents : bad) {
    std::ofstream(path, std::ios::binary) << contents;
    PrefixStore store(options(), "model");
    EXPECT_TRUE(load(store, chain(store, "a", 1)).empty());
    EXPECT_FALSE(store.has(chain(store, "a", 1)[0]));
    EXPECT_TRUE(files().empty());  // removed
  }
  std::ofstream(path, std::ios::binary) << good;
  PrefixStore store(options(), "model");
  EXPECT_EQ(load(store, chain(store, "a", 1)).size(), 1U);
}

TEST_F(PrefixStoreTest, ARenamedPageIsNoPage) {
  PrefixStore store(options(), "model");
  const auto names = chain(store, "a", 2);
  for (std::size_t i = 0; i < 2; ++i) store.save(names[i], page_of(static_cast<int>(i)));
  store.flush();
  const auto paths = files();
  const fs::path spare = folder_ / "spare";
  fs::rename(paths[0], spare), fs::rename(paths[1], paths[0]), fs::rename(spare, paths[1]);
  EXPECT_TRUE(load(store, names).empty());
}

TEST_F(PrefixStoreTest, IsBounded) {
  PrefixStore store(options(20000), "model");
  const auto names = chain(store, "a", 10);
  for (std::size_t i = 0; i < 3; ++i) store.save(names[i], page_of(static_cast<int>(i)));
  store.flush();
  EXPECT_EQ(load(store, {names[0]}).size(), 1U);  // the first is used again
  for (std::size_t i = 3; i < 5; ++i) store.save(names[i], page_of(static_cast<int>(i)));
  store.flush();
  EXPECT_LE(store.bytes(), 20000);
  EXPECT_TRUE(store.has(names[0]));
  EXPECT_FALSE(store.has(names[1]));
  EXPECT_TRUE(store.has(names[4]));
  EXPECT_EQ(files().size(), 3U);
  store.save(names[9], page_of(1, 30000));  // larger than all
  store.flush();
  EXPECT_FALSE(store.has(names[9]));
}

TEST_F(PrefixStoreTest, AFolderThatCannotBeUsedIsAnError) {
  std::ofstream(folder_ / "file") << "x";
  EXPECT_THROW(PrefixStore({.folder = folder_ / "file", .max_bytes = 1, .log = {}}, ""), Error);
  {
    PrefixStore store(options(), "model");
  }
  std::ofstream(folder_ / "pages" / "secret") << "short";
  EXPECT_THROW(PrefixStore(options(), "model"), Error);
}

// A writer is killed again and again; what it leaves is read whole or not at all.
TEST_F(PrefixStoreTest, KilledWritersLeaveNothingWrong) {
  int found = 0;
  useconds_t wait = 3000;  // until it is killed; at first longer each time, until a writer gets that far
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      PrefixStore store(options(64 << 20), "model");
      const auto names = chain(store, "a", 400);
      for (int i = 0; i < 400; ++i)
        if (!store.has(names[static_cast<std::size_t>(i)]))
          store.save(names[static_cast<std::size_t>(i)], page_of(i, 20000));
      store.flush();
      _exit(0);
    }
    usleep(wait);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    PrefixStore store(options(64 << 20), "model");
    const auto names = chain(store, "a", 400);
    for (int i = 0; i < 400; ++i) {
      if (!store.has(names[static_cast<std::size_t>(i)])) continue;
      const auto pages = load(store, {names[static_cast<std::size_t>(i)]});
      ASSERT_EQ(pages.size(), 1U) << "a committed page was lost";
      ASSERT_EQ(pages[0], page_of(i, 20000));
      ++found;
    }
    for (const auto& entry : fs::directory_iterator(folder_ / "pages"))
      EXPECT_FALSE(entry.path().filename().string().starts_with(".medlar-"));
    wait = found == 0 ? 2 * wait : wait + 1500;
  }
  EXPECT_GT(found, 20);
}

}  // namespace
}  // namespace medlar
