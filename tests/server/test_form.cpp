// Bodies that are no JSON, fields that are wrong, and what is read from the ones that are right.
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api_error.h"
#include "server/prompt.h"
#include "server/settings.h"

namespace medlar::server {
namespace {

using testing::HasSubstr;

// The error that reading settings from a body gives.
ApiError error_of(const std::string& body) {
  try {
    settings_form().read(parse_body(body));
  } catch (const ApiError& e) {
    return e;
  }
  ADD_FAILURE() << body << " was accepted";
  return {200, ""};
}

TEST(JsonBody, RefusesWhatIsNoJson) {
  for (const char* body : {"", " ", "{", "{} x", "{\"a\":1,}", "[1 2]", "{'a':1}", "\xff", "{\"a\":\"\xc3\"}",
                           "nul", "{\"a\":\"\\ud800\"}", "{\"a\":01}", "{\"a\":NaN}", "{\"a\":\"\n\"}"})
    EXPECT_EQ(error_of(body).status(), 400) << body;
  EXPECT_EQ(error_of(std::string("{\"a\0\":1}", 9)).status(), 400);
}

TEST(JsonBody, DepthIsBounded) {
  EXPECT_NO_THROW(parse_body(std::string(60, '[') + std::string(60, ']')));
  EXPECT_EQ(error_of(std::string(1'000'000, '[')).status(), 400);
}

TEST(JsonBody, AKeyTwiceIsNamed) {
  EXPECT_EQ(error_of(R"({"top_k":1,"top_k":2})").about().param, "top_k");
  EXPECT_EQ(error_of(R"({"a":{"b":1,"\u0062":2}})").about().param, "b");
  EXPECT_NO_THROW(parse_body(R"({"a":{"b":1},"b":[{"b":1},{"b":2}]})"));
}

TEST(JsonBody, ANumberBeyondADoubleIsNamed) {
  EXPECT_EQ(error_of(R"({"a":[1,{"b":-1e309}]})").about().param, "b");
  EXPECT_EQ(error_of("1e309").status(), 400);
  EXPECT_NO_THROW(parse_body(R"({"a":1e308,"b":-1e-400})"));
}

TEST(Form, NamesTheWrongField) {
  for (const char* value :
       {"-5", "\"5\"", "1e309", "0.5", "[]", "{}", "true", "9007199254740993", "-2147483648"}) {
    const ApiError error = error_of(std::string("{\"top_k\":") + value + "}");
    EXPECT_EQ(error.status(), 400);
    EXPECT_THAT(error.what(), HasSubstr("top_k")) << value;
  }
  EXPECT_EQ(error_of(R"({"temperature":-1})").about().param, "temperature");
  EXPECT_EQ(error_of(R"({"top_p":2})").about().param, "top_p");
  EXPECT_EQ(error_of(R"({"max_tokens":0})").about().param, "max_tokens");
  EXPECT_EQ(error_of(R"({"max_tokens":9223372036854775808})").about().param, "max_tokens");
  EXPECT_EQ(error_of(R"({"stop":5})").about().param, "stop");
  EXPECT_EQ(error_of(R"({"stop":["a",5]})").about().param, "stop[1]");
  EXPECT_EQ(error_of(R"({"logit_bias":{"x":1}})").about().param, "logit_bias.x");
  EXPECT_EQ(error_of(R"({"logit_bias":{"1":1e30}})").about().param, "logit_bias.1");
  EXPECT_EQ(error_of(R"([])").status(), 400);
}

TEST(Form, EveryFieldRefusesAnObjectOfAnotherKind) {
  for (const auto& entry : settings_form().entries()) {
    const ApiError error = error_of("{\"" + entry.name + "\":[[[{}]]]}");
    EXPECT_THAT(error.what(), HasSubstr(entry.name));
  }
}

TEST(Form, AMillionStopStringsAreTooMany) {
  std::string body = R"({"stop":["a")";
  for (int i = 0; i < 1'000'000; ++i) body += ",\"a\"";
  EXPECT_EQ(error_of(body + "]}").about().param, "stop");
}

TEST(Form, ReadsValuesAndKeepsDefaults) {
  const Settings s = settings_form().read(parse_body(
      R"({"temperature":0,"top_k":5.0,"top_p":null,"seed":7,"stop":"END","num_predict":-1,"n_ctx":128,"unknown":[1],
          "logit_bias":[[3,false],[4,-2.5]]})"));
  EXPECT_EQ(s.sampler.temperature, 0);
  EXPECT_EQ(s.sampler.top_k, 5);
  EXPECT_EQ(s.sampler.top_p, SamplerOptions{}.top_p);
  EXPECT_EQ(s.sampler.seed, 7u);
  EXPECT_FALSE(s.sampler.random_seed);
  EXPECT_THAT(s.stop, testing::ElementsAre("END"));
  EXPECT_FALSE(s.max_tokens);
  EXPECT_EQ(s.context, 128);
  ASSERT_EQ(s.sampler.logit_bias.size(), 2u);
  EXPECT_EQ(s.sampler.logit_bias[0].bias, -std::numeric_limits<float>::infinity());
  EXPECT_EQ(s.sampler.logit_bias[1].bias, -2.5F);
  EXPECT_TRUE(settings_form().read(parse_body(R"({"seed":-1})")).sampler.random_seed);
  EXPECT_EQ(settings_form().read(parse_body(R"({"seed":18446744073709551615})")).sampler.seed,
            ~std::uint64_t{0});
  EXPECT_EQ(error_of(R"({"seed":-2})").about().param, "seed");
  EXPECT_EQ(error_of(R"({"seed":18446744073709551616})").about().param, "seed");
}

TEST(Form, SchemasShowRangesAndDefaults) {
  const auto schema = settings_form().schema();
  const boost::json::object& top_p = schema.at("properties").at("top_p").as_object();
  EXPECT_EQ(top_p.at("type"), boost::json::value({"number", "null"}));
  EXPECT_EQ(top_p.at("minimum"), 0.0);
  EXPECT_EQ(top_p.at("maximum"), 1.0);
  EXPECT_EQ(top_p.at("default"), 0.95);
}

TEST(Form, SchemasKnowNullOnlyWhereNothingNeedBeGiven) {
  struct Body {
    std::string word;
    boost::json::value any;
    std::vector<std::int64_t> list;
  };
  Form<Body> form;
  form.field("word", &Body::word, {.choices = {"a", "b"}})
      .field("any", &Body::any, {.required = true})
      .field("list", &Body::list);
  const auto schema = [&] { return form.schema().at("properties").as_object(); };
  EXPECT_EQ(schema().at("word").at("type"), boost::json::value({"string", "null"}));
  EXPECT_EQ(schema().at("word").at("enum"), boost::json::value({"a", "b", nullptr}));
  EXPECT_EQ(schema().at("any").at("type"),
            boost::json::value({"boolean", "number", "string", "array", "object"}));
  EXPECT_EQ(schema().at("list").at("type"), boost::json::value({"array", "null"}));
  EXPECT_EQ(schema().at("list").at("items").at("type"), "integer");
  form.require("word");
  EXPECT_EQ(schema().at("word").at("type"), "string");
  EXPECT_EQ(schema().at("word").at("enum"), boost::json::value({"a", "b"}));
}

TEST(Form, MessagesBecomeStrings) {
  const auto read = [](const char* body) {
    return JsonType<std::vector<ChatMessage>>::read(parse_body(body), {.name = "messages"}, {});
  };
  EXPECT_EQ(
      read(R"([{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])")[0]
          .object,
      (boost::json::object{{"role", "system"}, {"content", "ab"}}));
  const auto param = [&](const char* body) {
    try {
      read(body);
    } catch (const ApiError& e) {
      return e.about().param;
    }
    return std::string("accepted");
  };
  EXPECT_EQ(param(R"([5])"), "messages[0]");
  EXPECT_EQ(param(R"([{"content":"x"}])"), "messages[0].role");
  EXPECT_EQ(param(R"([{"role":"user"}])"), "messages[0].content");
  EXPECT_EQ(param(R"([{"role":"user","content":5}])"), "messages[0].content");
  EXPECT_EQ(param(R"([{"role":"user","content":[{"type":"image_url"}]}])"), "messages[0].content[0].type");
}

TEST(ApiErrors, HaveEachProtocolsForm) {
  const ApiError error(404, "no such model",
                       {.param = "model", .code = "model_not_found", .hint = "pull it"});
  const auto inner = [&](Dialect dialect) { return error_object(dialect, error).at("error"); };
  const boost::json::string text = "no such model (pull it)";
  EXPECT_EQ(inner(Dialect::openai), boost::json::value({{"message", text},
                                                        {"type", "invalid_request_error"},
                                                        {"param", "model"},
                                                        {"code", "model_not_found"}}));
  EXPECT_EQ(error_object(Dialect::anthropic, error).at("type"), "error");
  EXPECT_EQ(inner(Dialect::anthropic), boost::json::value({{"message", text}, {"type", "not_found_error"}}));
  EXPECT_EQ(inner(Dialect::ollama), text);
  EXPECT_EQ(inner(Dialect::llama),
            boost::json::value({{"message", text}, {"code", 404}, {"type", "model_not_found"}}));
}

}  // namespace
}  // namespace medlar::server
