// The store as its users see it: installing from a URL, finding, resolving, removing, verifying, collecting
// garbage.
#include <map>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "store/store.h"
#include "tests/store/store_fixture.h"

namespace medlar::store {
namespace {

namespace fs = std::filesystem;
using medlar::testing::error_of;
using medlar::testing::HttpServer;
using medlar::testing::read_text;
using medlar::testing::serve_content;
using medlar::testing::ServerConnection;
using medlar::testing::ServerRequest;
using medlar::testing::serving;
using medlar::testing::sha256_hex;
using medlar::testing::small_gguf;
using medlar::testing::TemporaryFolder;
using medlar::testing::test_options;
using medlar::testing::Tool;
using medlar::testing::write_text;

class StoreTest : public ::testing::Test {
 protected:
  StoreTest()
      : server_(serving(contents_)), options_(test_options(folder_.path() / "home")), store_(options_) {
    contents_["/a.gguf"] = small_gguf(20'000, 1);
    contents_["/b-Q4_K_M.gguf"] = small_gguf(30'000, 2);
  }
  std::string a() const { return server_.url("/a.gguf"); }
  std::string b() const { return server_.url("/b-Q4_K_M.gguf"); }
  fs::path blob_of(const std::string& path) {
    return options_.root / "blobs" / ("sha256-" + sha256_hex(contents_.at(path)));
  }

  TemporaryFolder folder_;
  std::map<std::string, std::string> contents_;
  HttpServer server_;
  StoreOptions options_;
  Store store_;
};

TEST_F(StoreTest, PullsAUrl) {
  const PullResult result = store_.pull(b());
  EXPECT_FALSE(result.was_installed);
  EXPECT_EQ(result.model.name, b());
  EXPECT_EQ(result.model.source, b());
  EXPECT_EQ(result.model.architecture, "llama");
  EXPECT_EQ(result.model.quant, "Q4_K_M");
  EXPECT_EQ(result.model.bytes, contents_["/b-Q4_K_M.gguf"].size());
  EXPECT_TRUE(result.model.problem.empty());
  EXPECT_EQ(result.model.files.at(0).path, blob_of("/b-Q4_K_M.gguf"));
  EXPECT_TRUE(fs::is_empty(options_.root / "partial"));
  EXPECT_EQ(fs::status(blob_of("/b-Q4_K_M.gguf")).permissions() & fs::perms::owner_write, fs::perms::none);
  EXPECT_TRUE(store_.pull(b()).was_installed);
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(StoreTest, AUrlsFragmentBindsTheDigest) {
  EXPECT_EQ(error_of([&] { store_.pull(a() + "#sha256=" + sha256_hex("other")); }).kind(),
            ErrorKind::bad_file);
  EXPECT_TRUE(store_.list().empty());
  EXPECT_EQ(store_.pull(a() + "#sha256=" + sha256_hex(contents_["/a.gguf"])).model.name, a());
}

TEST_F(StoreTest, EmptyStoreIsNotAnError) {
  EXPECT_TRUE(store_.list().empty());
  EXPECT_FALSE(store_.find("smollm2:135m"));
  EXPECT_FALSE(fs::exists(options_.root)) << "looking makes nothing";
}

TEST_F(StoreTest, ListsByName) {
  store_.pull(b());
  store_.pull(a());
  const auto models = store_.list();
  ASSERT_EQ(models.size(), 2U);
  EXPECT_EQ(models[0].name, a());
  EXPECT_EQ(models[1].name, b());
  EXPECT_EQ(models[0].created.size(), 20U);
  EXPECT_TRUE(models[0].created.ends_with("Z"));
}

TEST_F(StoreTest, ResolvesInstalledAndLocalModels) {
  store_.pull(a());
  const ResolvedModel installed = store_.resolve(a());
  EXPECT_TRUE(read_text(installed.path) == contents_["/a.gguf"]);
  EXPECT_EQ(installed.name, a());
  const fs::path file = folder_.path() / "models" / "m.gguf";
  write_text(file, contents_["/a.gguf"]);
  EXPECT_EQ(store_.resolve(file.native()).path, file);
  EXPECT_EQ(store_.resolve(file.native()).name, "m.gguf");
  EXPECT_EQ(store_.resolve(file.parent_path().native()).path, file);
  write_text(folder_.path() / "models" / "mmproj-m.gguf", "x");
  EXPECT_EQ(store_.resolve(file.parent_path().native()).path, file);
  write_text(folder_.path() / "models" / "n.gguf", "x");
  EXPECT_EQ(error_of([&] { store_.resolve(file.parent_path().native()); }).kind(), ErrorKind::usage);
  fs::create_directories(folder_.path() / "none");
  EXPECT_EQ(error_of([&] { store_.resolve((folder_.path() / "none").native()); }).kind(),
            ErrorKind::not_found);
  EXPECT_EQ(error_of([&] { store_.resolve("./absent.gguf"); }).kind(), ErrorKind::not_found);
  write_text(folder_.path() / "split" / "m-00002-of-00002.gguf", "x");
  write_text(folder_.path() / "split" / "m-00001-of-00002.gguf", "x");
  EXPECT_EQ(store_.resolve((folder_.path() / "split").native()).path.filename(), "m-00001-of-00002.gguf");
}

TEST_F(StoreTest, AWordThatIsAFileHereIsThatFile) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  write_text(folder_.path() / "Notes.txt", "x");
  write_text(folder_.path() / "smollm2", "x");
  fs::create_directory("gemma3");
  fs::create_directory("models-of-mine");
  for (const char* word : {"Notes.txt", "smollm2"}) {
    EXPECT_FALSE(store_.can_pull(word));
    EXPECT_EQ(store_.resolve(word).path, word);
    EXPECT_EQ(error_of([&] { store_.pull(word); }).kind(), ErrorKind::usage);
  }
  EXPECT_FALSE(store_.can_pull("models-of-mine"));
  EXPECT_FALSE(store_.can_pull("nobody-knows-this"));
  EXPECT_TRUE(store_.can_pull("gemma3"));
  EXPECT_TRUE(store_.can_pull("smollm2:135m"));
  EXPECT_TRUE(store_.can_pull(a()));
  fs::current_path(before);
  store_.pull(a());
  EXPECT_FALSE(store_.can_pull(a()));
}

TEST_F(StoreTest, WhatIsNotThereIsExplained) {
  Error e = error_of([&] { store_.resolve("smollm2:135m"); });
  EXPECT_EQ(e.kind(), ErrorKind::not_found);
  EXPECT_EQ(e.hint(), "medlar pull smollm2:135m");
  e = error_of([&] { store_.resolve("smolm2:135m"); });
  EXPECT_EQ(e.kind(), ErrorKind::not_found);
  EXPECT_NE(e.hint().find("smollm2:135m"), std::string::npos);
  e = error_of([&] { store_.resolve("hf.co/u/r:Q8_0"); });
  EXPECT_EQ(e.hint(), "medlar pull hf.co/u/r:Q8_0");
  e = error_of([&] { store_.pull("qwen3:5b"); });
  EXPECT_EQ(e.kind(), ErrorKind::not_found);
  EXPECT_NE(e.hint().find("qwen3:"), std::string::npos);
  EXPECT_EQ(error_of([&] { store_.pull("./x.gguf"); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(error_of([&] { store_.remove("smollm2:135m"); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(error_of([&] { store_.verify("smollm2:135m"); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(error_of([&] { store_.pull(server_.url("/absent.gguf")); }).kind(), ErrorKind::not_found);
}

TEST_F(StoreTest, RemovesOnlyWhatNoOtherModelShares) {
  contents_["/copy.gguf"] = contents_["/a.gguf"];
  store_.pull(a());
  store_.pull(server_.url("/copy.gguf"));
  EXPECT_EQ(store_.remove(a()), 0U);
  EXPECT_FALSE(store_.find(a()));
  EXPECT_TRUE(store_.verify(server_.url("/copy.gguf")).good());
  EXPECT_EQ(store_.remove(server_.url("/copy.gguf")), contents_["/a.gguf"].size());
  EXPECT_TRUE(fs::is_empty(options_.root / "blobs"));
  EXPECT_TRUE(fs::is_empty(options_.root / "models"));
}

TEST_F(StoreTest, RefusesToRemoveWhatIsLoaded) {
  store_.pull(a());
  {
    const ResolvedModel loaded = store_.resolve(a());
    const Error e = error_of([&] { store_.remove(a()); });
    EXPECT_EQ(e.kind(), ErrorKind::io);
    EXPECT_NE(std::string(e.what()).find("in use"), std::string::npos);
    EXPECT_EQ(store_.collect_garbage().files, 0U);
  }
  EXPECT_GT(store_.remove(a()), 0U);
}

TEST_F(StoreTest, RefusesToRemoveWhatAnotherProcessHasLoaded) {
  store_.pull(a());
  Tool holder({.arguments = {"hold", a()}, .environment = {{"MEDLAR_HOME", options_.root.native()}}});
  ASSERT_EQ(holder.read_line(), "holding");
  EXPECT_EQ(error_of([&] { store_.remove(a()); }).kind(), ErrorKind::io);
  holder.kill();  // a process that dies lets go
  holder.wait();
  EXPECT_GT(store_.remove(a()), 0U);
}

TEST_F(StoreTest, VerifyFindsAndRepairsDamage) {
  store_.pull(a());
  const fs::path blob = blob_of("/a.gguf");
  const auto damage = [&](const std::string& bytes) {
    fs::permissions(blob, fs::perms::owner_write, fs::perm_options::add);
    write_text(blob, bytes);
  };
  EXPECT_EQ(store_.verify(a()).files.at(0).state, FileState::good);

  std::string flipped = contents_["/a.gguf"];
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 4);
  const std::string size(flipped.size(), '\0');
  for (const std::string& bad : {flipped, size, flipped.substr(1), std::string()}) {
    damage(bad);
    EXPECT_EQ(store_.verify(a(), {.repair = false}).files.at(0).state, FileState::damaged);
    EXPECT_FALSE(store_.verify(a(), {.repair = false}).good());
    const VerifyReport report = store_.verify(a());
    EXPECT_EQ(report.files.at(0).state, FileState::repaired);
    EXPECT_TRUE(report.good());
    EXPECT_TRUE(read_text(blob) == contents_["/a.gguf"]);
  }
  fs::remove(blob);
  EXPECT_FALSE(store_.list().at(0).problem.empty());
  EXPECT_EQ(error_of([&] { store_.resolve(a()); }).kind(), ErrorKind::bad_file);
  EXPECT_EQ(store_.verify(a(), {.repair = false}).files.at(0).state, FileState::missing);
  EXPECT_TRUE(store_.verify(a()).good());
}

TEST_F(StoreTest, AMissingFileIsPulledAgain) {
  store_.pull(a());
  fs::remove(blob_of("/a.gguf"));
  const PullResult again = store_.pull(a());
  EXPECT_FALSE(again.was_installed);
  EXPECT_TRUE(again.model.problem.empty());
}

TEST_F(StoreTest, ADamagedManifestDoesNotHideTheOthers) {
  store_.pull(a());
  store_.pull(b());
  const fs::path manifest = store_.find(a())->manifest;
  write_text(manifest, std::string(300, '\0'));
  const auto models = store_.list();
  ASSERT_EQ(models.size(), 2U);
  EXPECT_EQ(models[0].name, a());
  EXPECT_FALSE(models[0].problem.empty());
  EXPECT_TRUE(models[1].problem.empty());
  EXPECT_EQ(error_of([&] { store_.resolve(a()); }).kind(), ErrorKind::bad_file);
  EXPECT_NO_THROW(store_.remove(a()));
  EXPECT_EQ(store_.list().size(), 1U);
  EXPECT_EQ(store_.collect_garbage().files, 1U);  // its blob
}

TEST_F(StoreTest, GarbageIsWhatNoModelNames) {
  store_.pull(a());
  write_text(options_.root / "blobs" / ("sha256-" + std::string(64, 'a')), "left by a crash");
  write_text(options_.root / "blobs" / "something", "else");
  const fs::path partial = options_.root / "partial";
  for (const char* name : {"key", "key.state", "stale.lock", "pypi-x/tmp/y"})
    write_text(partial / name, "begun");
  EXPECT_EQ(store_.collect_garbage().files, 2U);
  EXPECT_TRUE(fs::exists(partial / "key"));
  {
    const auto at_work = FileLock::try_token(partial / "key.lock");
    ASSERT_TRUE(at_work);
    EXPECT_FALSE(FileLock::try_token(partial / "key.lock"));
    EXPECT_EQ(store_.collect_garbage(true).files, 1U);
    EXPECT_TRUE(fs::exists(partial / "key"));
  }
  EXPECT_EQ(store_.collect_garbage(true).files, 2U);
  EXPECT_TRUE(fs::is_empty(partial));
  EXPECT_TRUE(store_.verify(a()).good());
}

TEST_F(StoreTest, AnotherProcessSharesTheWork) {
  std::atomic<int> served = 0;
  contents_["/slow.gguf"] = small_gguf(200'000, 9);
  HttpServer slow([&](const ServerRequest&, ServerConnection& c) {
    ++served;
    const std::string_view content = contents_["/slow.gguf"];
    c.head("200 OK", {fmt::format("Content-Length: {}", content.size()), "ETag: \"v1\""});
    c.send(content.substr(0, content.size() / 2));
    c.stall(700);
    c.send(content.substr(content.size() / 2));
  });
  const std::map<std::string, std::string> environment{{"MEDLAR_HOME", options_.root.native()}};
  Tool first({.arguments = {"pull", slow.url("/slow.gguf")}, .environment = environment});
  while (served == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  Tool second({.arguments = {"pull", slow.url("/slow.gguf")}, .environment = environment});
  EXPECT_EQ(first.wait(), 0) << first.output();
  EXPECT_EQ(second.wait(), 0) << second.output();
  EXPECT_EQ(served, 1);
  EXPECT_NE(second.output().find("\"waited\":true"), std::string::npos) << second.output();
}

TEST_F(StoreTest, TheWaiterTakesOverWhenTheFirstIsKilled) {
  std::atomic<int> served = 0;
  contents_["/slow.gguf"] = small_gguf(200'000, 9);
  HttpServer slow([&](const ServerRequest& r, ServerConnection& c) {
    const std::string_view content = contents_["/slow.gguf"];
    if (++served > 1) return serve_content(r, c, content, "\"v1\"");
    c.head("200 OK", {fmt::format("Content-Length: {}", content.size()), "ETag: \"v1\""});
    c.send(content.substr(0, content.size() / 2));
    c.stall(60'000);
  });
  const std::map<std::string, std::string> environment{{"MEDLAR_HOME", options_.root.native()}};
  Tool first({.arguments = {"pull", slow.url("/slow.gguf")}, .environment = environment});
  const auto partly = [&] {
    for (const auto& entry : fs::directory_iterator(options_.root / "partial")) {
      if (entry.path().extension().empty() && entry.file_size() > 300'000) return true;
    }
    return false;
  };
  while (!fs::exists(options_.root / "partial") || !partly())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  Tool second({.arguments = {"pull", slow.url("/slow.gguf")}, .environment = environment});
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  first.kill();
  EXPECT_EQ(first.wait(), -SIGKILL);
  EXPECT_EQ(second.wait(), 0) << second.output();
  EXPECT_GT(slow.requests().at(1).range_start(), 0U) << "what the first one left is used";
  EXPECT_TRUE(store_.verify(slow.url("/slow.gguf"), {.repair = false}).good());
}

TEST_F(StoreTest, ManyThreadsPullOneModel) {
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      try {
        Store own(options_);
        own.pull(a());
        static_cast<void>(own.resolve(a()));
      } catch (const Error& e) {
        ++failures;
        ADD_FAILURE() << e.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST(StoreOptionsTest, ComeFromTheEnvironment) {
  const auto with = [](const std::map<std::string, std::string>& variables) {
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
    StoreOptions options;
    std::string error;
    try {
      options = options_from_environment();
    } catch (const Error& e) {
      error = e.what();
    }
    for (const auto& [name, value] : variables) ::unsetenv(name.c_str());
    return std::pair(options, error);
  };
  const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  EXPECT_EQ(with({{"MEDLAR_HOME", "/x/y"}}).first.root, "/x/y");
#if defined(__linux__)
  EXPECT_EQ(with({{"XDG_DATA_HOME", "/data"}, {"HOME", "/home/u"}}).first.root, "/data/medlar");
  EXPECT_EQ(with({{"XDG_DATA_HOME", "relative"}, {"HOME", "/home/u"}}).first.root,
            "/home/u/.local/share/medlar");
#endif
  const auto [options, none] =
      with({{"MEDLAR_HOME", "/x"}, {"HF_ENDPOINT", "http://mirror.local:8080/"}, {"HF_TOKEN", "hf_abc"}});
  EXPECT_EQ(none, "");
  EXPECT_EQ(options.hub.endpoint, "http://mirror.local:8080");
  EXPECT_EQ(options.hub.token, "hf_abc");
  EXPECT_EQ(options.download.http.named_hosts, std::vector<std::string>{"mirror.local"});
  EXPECT_NE(with({{"MEDLAR_HOME", "/x"}, {"HF_TOKEN", "a\nHost: evil"}}).second.find("HF_TOKEN"),
            std::string::npos);
  EXPECT_NE(with({{"MEDLAR_HOME", "/x"}, {"HF_ENDPOINT", "ftp://x"}}).second.find("HF_ENDPOINT"),
            std::string::npos);
  if (!home.empty()) ::setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace medlar::store
