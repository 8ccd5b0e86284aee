// The history and the database under it: what is committed stays, what is damaged is kept aside.
#include <boost/json/parse.hpp>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include "server/history.h"
#include "server/url.h"

namespace medlar::server {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~HistoryTest() override { fs::remove_all(folder_); }

  static History::Put put(History& history, std::string_view client, std::string id, std::string text,
                          std::optional<std::int64_t> expected = std::nullopt, std::int64_t updated = 1) {
    const json::object conversation{
        {"id", id}, {"title", "About " + id}, {"tree", {{"messages", {{"m1", {{"content", text}}}}}}}};
    return history.put(client, {.id = id, .title = "About " + id, .created = 1, .updated = updated},
                       conversation, expected);
  }
  static json::value said(History& history, std::string_view client, std::string_view id) {
    const json::value found = history.get(client, id).value();
    return found.at("tree").at("messages").at("m1").at("content");
  }
  std::vector<std::string> damaged_files() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_))
      if (const std::string name = entry.path();
          name.find(".damaged-") != std::string::npos && name.ends_with(".db"))
        found.push_back(entry.path());
    return found;
  }

  fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("medlar-history-{}", getpid());
  fs::path path_ = folder_ / "history.db";
};

TEST_F(HistoryTest, KeepsWhatWasPut) {
  {
    History history(path_, {});
    EXPECT_EQ(put(history, "", "a", "one").revision, 1);
    EXPECT_EQ(put(history, "", "a", "two", 1).revision, 2);
    EXPECT_EQ(put(history, "", "b", "three", 0, 5).revision, 1);
  }
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  History history(path_, {});
  const auto list = history.list("");
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].id, "b");  // the latest first
  EXPECT_EQ(list[1].revision, 2);
  EXPECT_EQ(history.get("", "a").value().at("revision"), 2);
  EXPECT_EQ(said(history, "", "a"), "two");
  EXPECT_FALSE(history.get("", "none"));
}

TEST_F(HistoryTest, RefusesARevisionThatIsAnother) {
  History history(path_, {});
  put(history, "", "a", "one");
  const History::Put late = put(history, "", "a", "two", 0);
  EXPECT_FALSE(late.written);
  EXPECT_EQ(late.revision, 1);
  EXPECT_EQ(said(history, "", "a"), "one");
}

TEST_F(HistoryTest, ClientsSeeTheirOwn) {
  History history(path_, {});
  put(history, "alice", "a", "secret");
  EXPECT_TRUE(history.list("bob").empty());
  EXPECT_TRUE(history.search("bob", "secret").empty());
  EXPECT_FALSE(history.get("bob", "a"));
  EXPECT_FALSE(history.remove("bob", "a"));
  EXPECT_TRUE(put(history, "bob", "a", "other", 0).written);
  EXPECT_EQ(said(history, "alice", "a"), "secret");
}

TEST_F(HistoryTest, FindsPartsOfWordsInAnyScript) {
  History history(path_, {});
  put(history, "", "a", "Quinces are hard, \"very\" hard.\nÄRGER 东京塔");
  put(history, "", "b", "Pears 100% soft_er");
  for (const std::string_view wanted : {"INCE", "ha", "\"very\"", "ärger", "东京", "塔", "hard, \"very"}) {
    const auto found = history.search("", wanted);
    ASSERT_EQ(found.size(), 1u) << wanted;
    EXPECT_EQ(found[0].id, "a");
  }
  EXPECT_EQ(history.search("", "about").size(), 2u);
  EXPECT_EQ(history.search("", "0% so").size(), 1u);
  EXPECT_EQ(history.search("", "%").size(), 1u);
  EXPECT_TRUE(history.search("", "x* OR hard").empty());
  EXPECT_EQ(history.search("", "hard")[0].snippet, "About a Quinces are hard, \"very\" hard. ÄRGER 东京塔");
}

TEST_F(HistoryTest, WhatIsDeletedIsNotFound) {
  History history(path_, {});
  put(history, "", "a", "one");
  EXPECT_TRUE(history.remove("", "a"));
  EXPECT_FALSE(history.remove("", "a"));
  EXPECT_TRUE(history.search("", "one").empty());
  EXPECT_EQ(put(history, "", "a", "again", 0).revision, 1);
}

TEST_F(HistoryTest, SetsADamagedFileAside) {
  std::ofstream(path_) << std::string(8192, 'x');
  History history(path_, {});
  EXPECT_TRUE(history.list("").empty());
  ASSERT_EQ(damaged_files().size(), 1u);
  std::ifstream kept(damaged_files()[0]);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(kept), {}), std::string(8192, 'x'));
}

TEST_F(HistoryTest, SetsAFileWithDamagedPagesAside) {
  {
    History history(path_, {});
    for (int i = 0; i < 50; ++i) put(history, "", fmt::format("c{}", i), std::string(2000, 'y'));
  }
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3 * 4096);
    file << std::string(20 * 4096, '\x5a');
  }
  const auto size = fs::file_size(path_);
  History history(path_, {});
  EXPECT_TRUE(history.list("").empty());
  ASSERT_EQ(damaged_files().size(), 1u);
  EXPECT_EQ(fs::file_size(damaged_files()[0]), size);
}

TEST_F(HistoryTest, LeavesAFileOfANewerVersionAlone) {
  {
    History history(path_, {});
  }
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &handle), SQLITE_OK);
  sqlite3_exec(handle, "PRAGMA user_version = 1000", nullptr, nullptr, nullptr);
  sqlite3_close(handle);
  try {
    History history(path_, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_NE(std::string(error.what()).find("newer"), std::string::npos);
  }
  EXPECT_TRUE(damaged_files().empty());
}

TEST_F(HistoryTest, UndoesWhatIsNotCommitted) {
  constexpr std::string_view kSteps[] = {"CREATE TABLE t (x INTEGER)"};
  store::Database database(path_, {.steps = kSteps});
  {
    store::Transaction transaction(database);
    database.prepare("INSERT INTO t VALUES (?)").bind(std::int64_t{1}).run();
  }
  store::Statement count = database.prepare("SELECT count(*) FROM t");
  ASSERT_TRUE(count.step());
  EXPECT_EQ(count.integer(0), 0);
}

TEST(Snippet, IsAroundTheFirstMatch) {
  const std::string text = std::string(100, 'a') + " Needle " + std::string(100, 'b');
  EXPECT_EQ(snippet_around(text, "needle").value(),
            "…" + std::string(29, 'a') + " Needle " + std::string(49, 'b'));
  EXPECT_FALSE(snippet_around(text, "nadel"));
  EXPECT_EQ(snippet_around("a\n\n  b", "B").value(), "a b");
}

TEST(Url, DecodesEscapesAndQueries) {
  EXPECT_EQ(percent_decoded("hf.co%2Fa%2fb%3AQ4"), "hf.co/a/b:Q4");
  EXPECT_EQ(percent_decoded("100%+%zz%4"), "100%+%zz%4");
  EXPECT_EQ(query_value("a=1&search=two+words%21&b=", "search").value(), "two words!");
  EXPECT_EQ(query_value("search", "search").value(), "");
  EXPECT_FALSE(query_value("research=1", "search"));
  EXPECT_FALSE(query_value("", "search"));
}

}  // namespace
}  // namespace medlar::server
