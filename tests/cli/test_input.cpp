// What users hand in: token ids, messages, JSON; and the array header that NumPy reads.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cli/conversation.h"
#include "cli/json.h"
#include "cli/npy.h"
#include "cli/tokens.h"

namespace medlar::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(TokenIds, AreReadInEveryFormTheyArePrintedIn) {
  EXPECT_THAT(parse_token_ids("1,2,3", "x"), ElementsAre(1, 2, 3));
  EXPECT_THAT(parse_token_ids(" 1 2\n3, \t4\n", "x"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(parse_token_ids("[1, 2]", "x"), ElementsAre(1, 2));
  EXPECT_THAT(parse_token_ids("{\"tokens\": [5], \"other\": 1}\n", "x"), ElementsAre(5));
  EXPECT_THAT(parse_token_ids(" \n", "x"), IsEmpty());
  EXPECT_EQ(join_token_ids(parse_token_ids("7,8", "x")), "7 8");
}

TEST(TokenIds, OthersAreRefused) {
  for (const char* text :
       {"1;2", "one", "1.5", "99999999999", "{\"tokens\": 1}", "{}", "[1.5]", "[\"1\"]", "[1"})
    EXPECT_THAT(error_of([&] { parse_token_ids(text, "ids.txt"); }), HasSubstr("ids.txt")) << text;
}

TEST(Json, ErrorsNameTheSourceAndThePlace) {
  EXPECT_THAT(error_of([] { parse_json("[1, x]", "a.json"); }), HasSubstr("a.json: not JSON at byte 4"));
  EXPECT_THAT(error_of([] { parse_json("[1] 2", "a.json"); }), HasSubstr("a.json"));
  EXPECT_THAT(error_of([] { parse_json("", "a.json"); }), HasSubstr("a.json"));
  EXPECT_THAT(error_of([] { parse_json(std::string(100000, '['), "a.json"); }), HasSubstr("a.json"));
}

TEST(Messages, SurviveBeingSaved) {
  const std::vector<Message> messages = {{"system", "Be brief."}, {"user", "\"Hé\"\n\\"}};
  const std::vector<Message> loaded = messages_from_json(to_json(messages), "x");
  ASSERT_EQ(loaded.size(), 2u);
  EXPECT_EQ(loaded[1].role, "user");
  EXPECT_EQ(loaded[1].content, messages[1].content);
}

TEST(Messages, ErrorsNameTheField) {
  const auto error = [](const char* text) { return error_of([&] { messages_from_json(text, "a.json"); }); };
  EXPECT_THAT(error("[]"), HasSubstr("messages"));
  EXPECT_THAT(error(R"({"messages": [1]})"), HasSubstr("message 0"));
  EXPECT_THAT(error(R"({"messages": [{"role": "user"}]})"), HasSubstr("content"));
}

TEST(Npy, HeaderIsAlignedAndNamesTheShape) {
  const std::string header = npy_header(3, 49152);
  EXPECT_EQ(header.size() % 64, 0u);
  EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_EQ(static_cast<unsigned char>(header[8]) + 256u * static_cast<unsigned char>(header[9]),
            header.size() - 10);
  EXPECT_THAT(header, HasSubstr("'shape': (3, 49152)"));
}

}  // namespace
}  // namespace medlar::cli
