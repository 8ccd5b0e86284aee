// Downloads against servers that break off, change their mind, lie or never end.
#include <algorithm>
#include <atomic>
#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "store/download.h"
#include "tests/store/store_fixture.h"

namespace medlar::store {
namespace {

using medlar::testing::error_of;
using medlar::testing::HttpServer;
using medlar::testing::random_bytes;
using medlar::testing::read_text;
using medlar::testing::serve_content;
using medlar::testing::ServerConnection;
using medlar::testing::ServerRequest;
using medlar::testing::sha256_hex;
using medlar::testing::TemporaryFolder;
using medlar::testing::test_options;

constexpr std::size_t kBreak = 200'000;  // bytes of a broken answer: too few to count as progress

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() : content_(random_bytes(3 << 20)), options_(test_options(folder_.path()).download) {
    options_.partial.checkpoint_bytes = 1 << 20;
  }

  RemoteFile file(const HttpServer& server) const { return {.url = server.url("/m.gguf"), .name = "m.gguf"}; }
  RemoteFile known(const HttpServer& server) const {
    RemoteFile f = file(server);
    f.digest = Digest::parse(sha256_hex(content_));
    f.bytes = content_.size();
    return f;
  }
  std::filesystem::path path() const { return folder_.path() / "key"; }

  // One process's attempt.
  std::string fetch(const RemoteFile& f) {
    Partial partial(path(), options_.partial);
    ProgressMeter meter(nullptr, nullptr);
    meter.begin(Phase::downloading, f.name, 0, 0);
    return download(f, options_, partial, meter).hex();
  }
  void expect_complete() const { EXPECT_TRUE(read_text(path()) == content_); }

  // Serves `content_` but breaks the first `breaks` answers off after `bytes`.
  HttpServer::Handler breaking(int breaks, std::size_t bytes) {
    return [this, breaks, bytes, count = std::make_shared<std::atomic<int>>(0)](const ServerRequest& r,
                                                                                ServerConnection& c) {
      if (++*count > breaks) return serve_content(r, c, content_);
      const std::uint64_t start = r.range_start();
      const std::string_view rest = std::string_view(content_).substr(start);
      if (start == 0) {
        c.head("200 OK", {fmt::format("Content-Length: {}", rest.size()), "ETag: \"v1\""});
      } else {
        c.head("206 Partial Content",
               {fmt::format("Content-Length: {}", rest.size()), "ETag: \"v1\"",
                fmt::format("Content-Range: bytes {}-{}/{}", start, content_.size() - 1, content_.size())});
      }
      c.send(rest.substr(0, bytes));
    };
  }

  TemporaryFolder folder_;
  const std::string content_;
  DownloadOptions options_;
};

TEST_F(DownloadTest, Whole) {
  HttpServer server([&](const ServerRequest& r, ServerConnection& c) { serve_content(r, c, content_); });
  EXPECT_EQ(fetch(file(server)), sha256_hex(content_));
  expect_complete();
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(DownloadTest, WithoutLengthOrTag) {
  HttpServer server([&](const ServerRequest&, ServerConnection& c) {
    c.head("200 OK");
    c.send(content_);
  });
  EXPECT_EQ(fetch(file(server)), sha256_hex(content_));
  expect_complete();
}

TEST_F(DownloadTest, ContinuesAfterEveryBreak) {
  HttpServer server(breaking(3, 700'000));
  EXPECT_EQ(fetch(file(server)), sha256_hex(content_));
  expect_complete();
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 4U);
  EXPECT_EQ(requests[3].range_start(), 2'100'000U);
  EXPECT_EQ(requests[3].headers.at("if-range"), "\"v1\"");
}

TEST_F(DownloadTest, AnotherProcessContinuesFromWhatReachedTheDisk) {
  options_.attempts = 1;
  {
    HttpServer server(breaking(1, kBreak));
    const RemoteFile f = known(server);
    EXPECT_EQ(error_of([&] { fetch(f); }).kind(), ErrorKind::network);
    // Garbage beyond what was flushed, as a crash of the machine may leave, does not count.
    std::filesystem::resize_file(path(), 2'500'000 / 2);
    EXPECT_EQ(fetch(f), sha256_hex(content_));
    EXPECT_EQ(server.requests().at(1).range_start(), kBreak);
  }
  expect_complete();
}

TEST_F(DownloadTest, WhatCameIsSavedAsTimePasses) {
  Partial partial(path(), {.checkpoint_interval = std::chrono::milliseconds(0)});
  partial.restore([](std::uint64_t) {});
  partial.restart({.url = "http://host/m.gguf", .total = 10});
  partial.append(std::as_bytes(std::span(content_).first(5)));
  const Partial another(path(), {});  // as a process would find it after this one was killed
  EXPECT_EQ(another.state().synced, 5U);
}

TEST_F(DownloadTest, ATornStateBeginsAnew) {
  options_.attempts = 1;
  HttpServer server(breaking(1, kBreak));
  const RemoteFile f = known(server);
  EXPECT_THROW(fetch(f), Error);
  const std::string state = read_text(folder_.path() / "key.state");
  testing::write_text(folder_.path() / "key.state", state.substr(0, state.find("synced")));
  EXPECT_EQ(fetch(f), sha256_hex(content_));
  EXPECT_EQ(server.requests().at(1).range_start(), 0U);
  expect_complete();
}

TEST_F(DownloadTest, AStateThatPromisesMoreThanThereIsBeginsAnew) {
  options_.attempts = 1;
  HttpServer server(breaking(1, kBreak));
  const RemoteFile f = known(server);
  EXPECT_THROW(fetch(f), Error);
  std::filesystem::resize_file(path(), kBreak - 1);
  EXPECT_EQ(fetch(f), sha256_hex(content_));
  EXPECT_EQ(server.requests().at(1).range_start(), 0U);
}

TEST_F(DownloadTest, ADamagedPieceIsFetchedAgainOnce) {
  options_.attempts = 1;
  HttpServer server(breaking(1, kBreak));
  const RemoteFile f = known(server);
  EXPECT_THROW(fetch(f), Error);
  std::string bytes = read_text(path());
  bytes[kBreak / 2] = static_cast<char>(bytes[kBreak / 2] ^ 1);
  testing::write_text(path(), bytes);
  options_.attempts = 3;
  EXPECT_EQ(fetch(f), sha256_hex(content_));
  expect_complete();
  EXPECT_EQ(server.requests().size(), 3U);  // broken off, continued and found wrong, whole
}

TEST_F(DownloadTest, WithoutTagOrDigestNothingIsContinued) {
  options_.attempts = 1;
  std::atomic<int> count = 0;
  HttpServer server([&](const ServerRequest&, ServerConnection& c) {
    c.head("200 OK", {fmt::format("Content-Length: {}", content_.size()), "ETag: W/\"weak\""});
    c.send(std::string_view(content_).substr(0, count++ == 0 ? kBreak : content_.size()));
  });
  EXPECT_THROW(fetch(file(server)), Error);
  EXPECT_EQ(fetch(file(server)), sha256_hex(content_));
  EXPECT_FALSE(server.requests().at(1).has("range"));
}

TEST_F(DownloadTest, AChangedFileBeginsAnew) {
  const std::string fresh = random_bytes(2 << 20, 7);
  options_.attempts = 1;
  std::atomic<int> count = 0;
  HttpServer server([&](const ServerRequest& r, ServerConnection& c) {
    if (count++ > 0) return serve_content(r, c, fresh, "\"v2\"");
    c.head("200 OK", {fmt::format("Content-Length: {}", content_.size()), "ETag: \"v1\""});
    c.send(std::string_view(content_).substr(0, kBreak));
  });
  EXPECT_THROW(fetch(file(server)), Error);
  EXPECT_EQ(fetch(file(server)), sha256_hex(fresh));
  EXPECT_TRUE(read_text(path()) == fresh);
}

// Answers to a request for the bytes from N on that must not be appended.
TEST_F(DownloadTest, WrongAnswersToARangeRequestBeginAnew) {
  const auto range = [&](std::uint64_t first, std::uint64_t last, std::uint64_t total) {
    return fmt::format("Content-Range: bytes {}-{}/{}", first, last, total);
  };
  const std::uint64_t size = content_.size();
  const std::vector<std::vector<std::string>> wrong = {
      {"ETag: \"v1\"", range(999'999, size - 1, size)},
      {"ETag: \"v1\"", range(1'000'001, size - 1, size)},
      {"ETag: \"v1\"", range(0, size - 1, size)},
      {"ETag: \"v1\"", range(1'000'000, size - 2, size)},
      {"ETag: \"v1\"", range(1'000'000, size, size + 1)},
      {"ETag: \"v1\"", "Content-Range: bytes 1000000-/"},
      {"ETag: \"v1\""},
      {"ETag: \"v2\"", range(1'000'000, size - 1, size)},
      {range(1'000'000, size - 1, size)},
  };
  for (const std::vector<std::string>& headers : wrong) {
    std::atomic<int> count = 0;
    HttpServer server([&](const ServerRequest& r, ServerConnection& c) {
      const int n = count++;
      if (n > 1) return serve_content(r, c, content_);
      c.head(n == 0 ? "200 OK" : "206 Partial Content",
             n == 0 ? std::vector<std::string>{fmt::format("Content-Length: {}", size), "ETag: \"v1\""}
                    : headers);
      c.send(n == 0 ? std::string_view(content_).substr(0, 1'000'000) : std::string_view("poison"));
    });
    EXPECT_EQ(fetch(file(server)), sha256_hex(content_)) << headers.back();
    EXPECT_EQ(server.requests().at(1).range_start(), 1'000'000U);
    EXPECT_FALSE(server.requests().at(2).has("range"));
    expect_complete();
    std::filesystem::remove(path());
  }
}

TEST_F(DownloadTest, AFullAnswerToARangeRequestBeginsAnew) {
  std::atomic<int> count = 0;
  HttpServer server([&](const ServerRequest&, ServerConnection& c) {
    c.head("200 OK", {fmt::format("Content-Length: {}", content_.size()), "ETag: \"v1\""});
    c.send(std::string_view(content_).substr(0, count++ == 0 ? 2'000'000 : content_.size()));
  });
  EXPECT_EQ(fetch(file(server)), sha256_hex(content_));
  expect_complete();
}

TEST_F(DownloadTest, RangeNotSatisfiableBeginsAnew) {
  std::atomic<int> count = 0;
  HttpServer server([&](const ServerRequest& r, ServerConnection& c) {
    const int n = count++;
    if (n == 1) {
      c.head("416 Range Not Satisfiable", {"Content-Length: 0"});
    } else if (n == 0) {
      c.head("200 OK", {fmt::format("Content-Length: {}", content_.size()), "ETag: \"v1\""});
      c.send(std::string_view(content_).substr(0, 1'500'000));
    } else {
      serve_content(r, c, content_);
    }
  });
  EXPECT_EQ(fetch(file(server)), sha256_hex(content_));
  expect_complete();
}

TEST_F(DownloadTest, AStallIsLeftAndContinued) {
  std::atomic<int> count = 0;
  HttpServer server([&](const ServerRequest& r, ServerConnection& c) {
    if (count++ > 0) return serve_content(r, c, content_);
    c.head("200 OK", {fmt::format("Content-Length: {}", content_.size()), "ETag: \"v1\""});
    c.send(std::string_view(content_).substr(0, 2'000'000));
    c.stall(60000);
  });
  EXPECT_EQ(fetch(file(server)), sha256_hex(content_));
  expect_complete();
}

TEST_F(DownloadTest, AttemptsAreBounded) {
  HttpServer dead([](const ServerRequest&, ServerConnection& c) {
    c.head("503 Service Unavailable", {"Content-Length: 0"});
  });
  EXPECT_EQ(error_of([&] { fetch(file(dead)); }).kind(), ErrorKind::network);
  EXPECT_EQ(dead.requests().size(), 3U);
  HttpServer drip(breaking(1000, 10));  // a little each time is no progress
  EXPECT_EQ(error_of([&] { fetch(file(drip)); }).kind(), ErrorKind::network);
  EXPECT_EQ(drip.requests().size(), 3U);
  HttpServer never([&](const ServerRequest&, ServerConnection& c) {  // a wrong range, whatever is asked for
    c.head("206 Partial Content",
           {fmt::format("Content-Range: bytes 5-{}/{}", content_.size() - 1, content_.size())});
    c.send("poison");
  });
  EXPECT_EQ(error_of([&] { fetch(file(never)); }).kind(), ErrorKind::network);
  EXPECT_EQ(never.requests().size(), 3U);
}

TEST_F(DownloadTest, MissingFilesAreNotAskedForAgain) {
  HttpServer server([](const ServerRequest&, ServerConnection& c) { c.head("404 Not Found"); });
  EXPECT_EQ(error_of([&] { fetch(file(server)); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(DownloadTest, AWrongDigestIsRefusedAndForgotten) {
  HttpServer server([&](const ServerRequest& r, ServerConnection& c) { serve_content(r, c, content_); });
  RemoteFile f = known(server);
  f.digest = Digest::parse(sha256_hex("something else"));
  const Error e = error_of([&] { fetch(f); });
  EXPECT_EQ(e.kind(), ErrorKind::bad_file);
  EXPECT_NE(std::string(e.what()).find(sha256_hex(content_)), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(path()), 0U);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(DownloadTest, AWrongSizeIsRefused) {
  HttpServer server([&](const ServerRequest& r, ServerConnection& c) { serve_content(r, c, content_); });
  for (const std::uint64_t bytes : {content_.size() - 1, content_.size() + 1}) {
    RemoteFile f = file(server);
    f.bytes = bytes;
    EXPECT_EQ(error_of([&] { fetch(f); }).kind(), ErrorKind::bad_file);
  }
}

TEST_F(DownloadTest, AnEndlessBodyIsCutOff) {
  HttpServer server([&](const ServerRequest&, ServerConnection& c) {
    c.head("200 OK");
    while (c.send(content_)) {
    }
  });
  RemoteFile promised = file(server);
  promised.bytes = content_.size();
  EXPECT_EQ(error_of([&] { fetch(promised); }).kind(), ErrorKind::bad_file);
  options_.max_bytes = 10 << 20;
  EXPECT_EQ(error_of([&] { fetch(file(server)); }).kind(), ErrorKind::bad_file);
  EXPECT_LE(std::filesystem::file_size(path()), 10U << 20);
}

TEST_F(DownloadTest, AnAnnouncedBodyBeyondTheLimitIsNotBegun) {
  HttpServer server([](const ServerRequest&, ServerConnection& c) {
    c.head("200 OK", {"Content-Length: 9000000000000000000"});
  });
  EXPECT_EQ(error_of([&] { fetch(file(server)); }).kind(), ErrorKind::limit);
  options_.max_bytes = ~0ULL;
  const Error e = error_of([&] { fetch(file(server)); });
  EXPECT_EQ(e.kind(), ErrorKind::no_space);
  EXPECT_FALSE(e.hint().empty());
}

TEST_F(DownloadTest, AnEmptyFileIsRefused) {
  HttpServer server(
      [](const ServerRequest&, ServerConnection& c) { c.head("200 OK", {"Content-Length: 0"}); });
  EXPECT_EQ(error_of([&] { fetch(file(server)); }).kind(), ErrorKind::bad_file);
  HttpServer none([](const ServerRequest&, ServerConnection& c) { c.head("204 No Content"); });
  EXPECT_EQ(error_of([&] { fetch(file(none)); }).kind(), ErrorKind::bad_file);
}

TEST_F(DownloadTest, TheHubsDigestBinds) {
  for (const bool honest : {true, false}) {
    HttpServer storage([&](const ServerRequest& r, ServerConnection& c) { serve_content(r, c, content_); });
    HttpServer hub([&](const ServerRequest&, ServerConnection& c) {
      c.head("302 Found", {"Location: " + storage.url(),
                           fmt::format("X-Linked-ETag: \"{}\"", sha256_hex(honest ? content_ : "other"))});
    });
    if (honest) {
      EXPECT_EQ(fetch(file(hub)), sha256_hex(content_));
    } else {
      EXPECT_EQ(error_of([&] { fetch(file(hub)); }).kind(), ErrorKind::bad_file);
    }
    std::filesystem::remove(path());
  }
}

TEST_F(DownloadTest, BadTagsOfTheHubAreIgnored) {
  HttpServer storage([&](const ServerRequest& r, ServerConnection& c) { serve_content(r, c, content_); });
  for (const char* tag : {"", "\"\"", "\"0123\"", "\"../../etc/passwd\"", "W/\"x\""}) {
    HttpServer hub([&](const ServerRequest&, ServerConnection& c) {
      c.head("302 Found", {"Location: " + storage.url(), std::string("X-Linked-ETag: ") + tag});
    });
    EXPECT_EQ(fetch(file(hub)), sha256_hex(content_)) << tag;
    std::filesystem::remove(path());
  }
}

TEST_F(DownloadTest, CancelKeepsWhatIsThere) {
  std::atomic<bool> cancel = false;
  HttpServer server([&](const ServerRequest& r, ServerConnection& c) {
    if (r.has("range")) return serve_content(r, c, content_);
    c.head("200 OK", {fmt::format("Content-Length: {}", content_.size()), "ETag: \"v1\""});
    c.send(std::string_view(content_).substr(0, 1'000'000));
    c.stall(200);
    cancel = true;
    c.stall(60000);
  });
  options_.http.stall_timeout = std::chrono::seconds(60);
  const RemoteFile f = file(server);
  {
    Partial partial(path(), options_.partial);
    ProgressMeter meter(nullptr, &cancel);
    EXPECT_EQ(error_of([&] { download(f, options_, partial, meter); }).kind(), ErrorKind::cancelled);
  }
  EXPECT_EQ(fetch(f), sha256_hex(content_));
  EXPECT_EQ(server.requests().at(1).range_start(), 1'000'000U);
}

TEST_F(DownloadTest, ProgressGrowsToTheTotal) {
  HttpServer server(breaking(2, 1'000'000));
  std::vector<ProgressEvent> events;
  Partial partial(path(), options_.partial);
  ProgressMeter meter([&](const ProgressEvent& e) { events.push_back(e); }, nullptr);
  meter.begin(Phase::downloading, "m.gguf", 100, 0);  // 100 bytes of an earlier file
  download(known(server), options_, partial, meter);
  std::uint64_t last = 0;
  for (const ProgressEvent& e : events) {
    if (e.phase == Phase::downloading) {
      EXPECT_GE(e.bytes_done, last);
    }
    if (e.bytes_total > 0) {
      EXPECT_LE(e.bytes_done, e.bytes_total);
    }
    last = std::max(last, e.bytes_done);
  }
  EXPECT_EQ(last, content_.size() + 100);
}

}  // namespace
}  // namespace medlar::store
