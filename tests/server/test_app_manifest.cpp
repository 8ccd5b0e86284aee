// The manifest of an app: what a good one says, and what is wrong with each bad one.
#include <boost/json/serialize.hpp>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "server/app_manifest.h"

namespace medlar::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(AppManifest, IsReadWhole) {
  const AppManifest app = parse_app_manifest(R"({
    "name": "notes", "models": ["smollm2:135m"], "priority": "background", "requires": {"memoryGB": 1.5},
    "pairs": [{"model": "qwen3:8b", "draft": "qwen3:0.6b"}],
    "kv": [{"model": "qwen3:8b", "type": "f16", "reason": "long tables lose digits"}]})");
  EXPECT_EQ(app.name, "notes");
  EXPECT_THAT(app.models, ElementsAre("smollm2:135m", "qwen3:8b", "qwen3:0.6b"));
  EXPECT_EQ(app.priority, Priority::background);
  EXPECT_EQ(app.memory_bytes, 1'500'000'000u);
  ASSERT_EQ(app.pairs.size(), 1u);
  EXPECT_EQ(app.pairs[0].draft, "qwen3:0.6b");
  ASSERT_EQ(app.kv.size(), 1u);
  EXPECT_EQ(app.kv[0].reason, "long tables lose digits");
  const std::string text = boost::json::serialize(to_json(app));
  EXPECT_EQ(boost::json::serialize(to_json(parse_app_manifest(text))), text);
}

TEST(AppManifest, NeedsOnlyAName) {
  const AppManifest app = parse_app_manifest(R"({"name": "a"})");
  EXPECT_THAT(app.models, IsEmpty());
  EXPECT_EQ(app.priority, Priority::interactive);
  EXPECT_EQ(app.memory_bytes, 0u);
}

std::string fault_of(std::string_view text) {
  try {
    parse_app_manifest(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "accepted";
}

struct Bad {
  std::string_view text, fault;
};

class BadManifest : public ::testing::TestWithParam<Bad> {};

TEST_P(BadManifest, NamesTheField) { EXPECT_THAT(fault_of(GetParam().text), HasSubstr(GetParam().fault)); }

INSTANTIATE_TEST_SUITE_P(
    Fields, BadManifest,
    ::testing::Values(
        Bad{"", "body"}, Bad{"[]", "object"}, Bad{"{}", "name: is missing"}, Bad{R"({"name": 1})", "name"},
        Bad{R"({"name": ""})", "name"}, Bad{R"({"name": "a b"})", "name"}, Bad{R"({"name": "../a"})", "name"},
        Bad{R"({"name": "a", "name": "b"})", "name"}, Bad{R"({"name": "a", "model": "x"})", "model"},
        Bad{R"({"name": "a", "models": "x"})", "models"}, Bad{R"({"name": "a", "models": [1]})", "models[0]"},
        Bad{R"({"name": "a", "models": [""]})", "models[0]"},
        Bad{R"({"name": "a", "models": ["x", "x"]})", "models[1]"},
        Bad{R"({"name": "a", "models": ["x\n"]})", "models[0]"},
        Bad{R"({"name": "a", "pairs": [{"model": "x"}]})", "pairs[0].draft"},
        Bad{R"({"name": "a", "pairs": [{"model": "x", "draft": "x"}]})", "pairs[0].draft"},
        Bad{R"({"name": "a", "pairs": [{"model": "x", "draft": "y", "z": 1}]})", "pairs[0].z"},
        Bad{R"({"name": "a", "pairs": [{"model": "x", "draft": "y"}, {"model": "x", "draft": "z"}]})",
            "pairs[1].model"},
        Bad{R"({"name": "a", "requires": 1})", "requires"},
        Bad{R"({"name": "a", "requires": {"memoryGb": 1}})", "requires.memoryGb"},
        Bad{R"({"name": "a", "requires": {"memoryGB": "1"}})", "requires.memoryGB"},
        Bad{R"({"name": "a", "requires": {"memoryGB": 0}})", "requires.memoryGB"},
        Bad{R"({"name": "a", "requires": {"memoryGB": -1}})", "requires.memoryGB"},
        Bad{R"({"name": "a", "requires": {"memoryGB": 1e300}})", "requires.memoryGB"},
        Bad{R"({"name": "a", "requires": {"memoryGB": 1e999}})", ""},
        Bad{R"({"name": "a", "priority": "high"})", "priority"},
        Bad{R"({"name": "a", "priority": null})", "priority"},
        Bad{R"({"name": "a", "kv": [{"model": "x", "type": "f16"}]})", "kv[0].reason"},
        Bad{R"({"name": "a", "kv": [{"model": "x", "type": "q2_k", "reason": "r"}]})", "kv[0].type"},
        Bad{R"({"name": "a", "models": ["y"], "kv": [{"model": "x", "type": "f16", "reason": "r"}]})",
            "kv[0].model"}));

class Greedy : public ::testing::TestWithParam<std::string_view> {};

TEST_P(Greedy, IsRejectedWithTheReason) {
  const std::string fault = fault_of(GetParam());
  EXPECT_THAT(fault, HasSubstr("not for an app to say"));
  EXPECT_THAT(fault, ::testing::AnyOf(HasSubstr("given back")));
}

INSTANTIATE_TEST_SUITE_P(
    Spellings, Greedy,
    ::testing::Values(R"({"name": "a", "mlock": true})", R"({"name": "a", "use_mlock": false})",
                      R"({"name": "a", "useMlock": 1})", R"({"name": "a", "no_mmap": true})",
                      R"({"name": "a", "no-mmap": true})", R"({"name": "a", "mmap": false})",
                      R"({"name": "a", "use_mmap": false})",
                      R"({"name": "a", "requires": {"memoryGB": 1, "MLOCK": true}})",
                      R"({"name": "a", "models": [{"options": {"mmap": false}}]})"));

TEST(AppManifest, EveryFieldHasALimit) {
  EXPECT_THAT(fault_of(R"({"name": ")" + std::string(49, 'a') + R"("})"), HasSubstr("name"));
  EXPECT_THAT(fault_of(R"({"name": "a", "models": [")" + std::string(300, 'a') + R"("]})"),
              HasSubstr("models[0]"));
  std::string many = R"({"name": "a", "models": [)";
  for (int i = 0; i < 65; ++i) many += fmt::format("{}\"m{}\"", i ? "," : "", i);
  EXPECT_THAT(fault_of(many + "]}"), HasSubstr("models"));
  EXPECT_THAT(fault_of(R"({"name": "a", "x": ")" + std::string(kMostManifestBytes, 'a') + R"("})"),
              HasSubstr("bytes"));
  const std::string deep =
      R"({"name": "a", "models": )" + std::string(10000, '[') + std::string(10000, ']') + "}";
  EXPECT_NE(fault_of(deep), "accepted");
}

}  // namespace
}  // namespace medlar::server
