// The file of log-probabilities: bytes written by hand are read, what is written is those bytes, and what is
// no such file is refused with its fault named.
#include <array>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/kl_base.h"
#include "tests/support/tiny_model.h"

namespace medlar::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// One window of four tokens, three in the vocabulary: one row, padded to four values.
std::string by_hand(std::int32_t last_token = 2) {
  std::string bytes = "_logits_";
  for (const std::int32_t count : {4, 3, 1}) append(bytes, count);
  for (const std::int32_t token : {0, 1, 2, last_token}) append(bytes, token);
  append(bytes, 0.5F);
  append(bytes, -8.0F);
  for (const std::uint16_t value : {0, 4, 14, 0}) append(bytes, value);
  return bytes;
}

KlBase read(const std::string& bytes) { return {std::as_bytes(std::span(bytes)), "b.kld"}; }

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}
std::string refusal(const std::string& bytes) {
  return error_of([&] { read(bytes); });
}

TEST(KlBase, ReadsBytesWrittenByHand) {
  const std::string bytes = by_hand();
  const KlBase base = read(bytes);
  EXPECT_EQ(base.context(), 4);
  EXPECT_EQ(base.vocab(), 3);
  EXPECT_EQ(base.windows(), 1);
  EXPECT_EQ(base.scored(), 1);
  EXPECT_THAT(base.tokens(), ElementsAre(0, 1, 2, 2));
  EXPECT_EQ(base.row(0, 0)(0), -8);
  EXPECT_EQ(base.row(0, 0)(1), -6);
  EXPECT_EQ(base.row(0, 0)(2), -1);
}

TEST(KlBase, WritesWhatItReads) {
  const testing::TemporaryFolder folder;
  const Windows windows({0, 1, 2, 2, 1}, text::kNoToken, {.context = 4});
  const std::string bytes = by_hand();
  KlBaseWriter writer(folder / "b.kld", windows, 3);
  writer.write(std::as_bytes(std::span(bytes)).last(16));
  EXPECT_FALSE(std::filesystem::exists(folder / "b.kld"));
  writer.commit();
  std::ifstream file(folder / "b.kld", std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), bytes);
  EXPECT_EQ(KlBase::open(folder / "b.kld").row(0, 0)(1), -6);
}

TEST(KlBase, NamesWhatIsWrongWithAFile) {
  const std::string good = by_hand();
  EXPECT_THAT(refusal("_logit"), HasSubstr("b.kld: no file of log-probabilities"));
  EXPECT_THAT(refusal("GGUF" + good), HasSubstr("no file of log-probabilities"));
  EXPECT_THAT(refusal(good.substr(0, 30)), HasSubstr("ends within its tokens"));
  EXPECT_THAT(refusal(good.substr(0, good.size() - 1)), HasSubstr("ends in window 1 of 1"));
  EXPECT_THAT(refusal(by_hand(3)), HasSubstr("token 3 at position 3 is none of 3"));
  EXPECT_THAT(refusal(by_hand(-1)), HasSubstr("token -1"));
}

TEST(KlBase, CountsThatMakeNoSenseAreRefused) {
  constexpr std::int32_t kMost = 0x7FFFFFFF;
  for (const auto& counts :
       {std::array{0, 3, 1}, std::array{4, 0, 1}, std::array{4, 3, 0}, std::array{-4, 3, 1},
        std::array{4, -1, 1}, std::array{kMost, kMost, kMost}, std::array{4, kMost, kMost}}) {
    std::string bytes = by_hand();
    std::memcpy(bytes.data() + 8, counts.data(), 12);
    EXPECT_THAT(refusal(bytes), HasSubstr("b.kld: "));
  }
}

TEST(KlBase, AnotherTextIsNamedByItsFirstToken) {
  const std::string bytes = by_hand();
  const KlBase base = read(bytes);
  using Tokens = std::vector<text::TokenId>;
  EXPECT_NO_THROW(base.check_same_text(Tokens{0, 1, 2, 2, 7}));
  EXPECT_THAT(error_of([&] { base.check_same_text(Tokens{0, 1, 1, 2}); }),
              HasSubstr("token 2 is 2 there and 1 here"));
  EXPECT_THAT(error_of([&] { base.check_same_text(Tokens{0, 1, 2}); }),
              HasSubstr("it has 4 tokens, the text 3"));
}

}  // namespace
}  // namespace medlar::eval
