// Whether a written answer is right.
#include <gtest/gtest.h>

#include "eval/choices.h"
#include "eval/item.h"

namespace medlar::eval {
namespace {

TEST(Item, OneOfTheExpectedTextsIsRightWithoutBlanksAround) {
  const Item item{.expected = {"Paris", " the city\nof Paris "}};
  EXPECT_TRUE(is_right(item, " Paris\n"));
  EXPECT_TRUE(is_right(item, "the city\nof Paris"));
  EXPECT_FALSE(is_right(item, "Paris."));
  EXPECT_FALSE(is_right(item, "the city of Paris"));
  EXPECT_FALSE(is_right(item, ""));
}

TEST(Item, APatternMayMatchAnyPart) {
  Item item;
  item.pattern = grammar::regex_dfa("(^|[^0-9])4[0-9]([^0-9]|$)|é+$", grammar::Match::anywhere);
  EXPECT_TRUE(is_right(item, "it is 42, I think"));
  EXPECT_FALSE(is_right(item, "it is 421"));
  EXPECT_TRUE(is_right(item, "caféé \n"));
  EXPECT_FALSE(is_right(item, "éa\xff"));
}

TEST(Choose, PerByteAndBySumAreTwoAnswers) {
  const std::vector<Continuation> c{{.bytes = 2}, {.bytes = 10}, {.bytes = 10}};
  const std::vector<double> log_p{-2, -4, -4};
  EXPECT_EQ(choose(log_p, c).by_sum, 0U);
  EXPECT_EQ(choose(log_p, c).by_bytes, 1U);
}

}  // namespace
}  // namespace medlar::eval
