#include "eval/same_tokens.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"

namespace medlar::eval {
namespace {

[[noreturn]] void fail_difference(const std::string& what) {
  throw Error(ErrorKind::usage, "the two models have different tokenizers: " + what,
              "compare models of one family, or each one's perplexity alone");
}

std::string beginning(const text::Tokenizer& tokenizer) {
  return tokenizer.adds_bos() ? fmt::format("token {}", tokenizer.special().bos) : "nothing";
}

}  // namespace

void check_same_tokens(const text::Tokenizer& model, const text::Tokenizer& base, std::string_view text) {
  if (model.size() != base.size())
    fail_difference(fmt::format("the model has {} tokens, the base {}", model.size(), base.size()));
  for (text::TokenId i = 0; i < model.size(); ++i) {
    const std::string_view a = model.piece(i, {.special = true}), b = base.piece(i, {.special = true});
    if (a != b)
      fail_difference(fmt::format("token {} is \"{}\" in the model and \"{}\" in the base", i, a, b));
  }
  if (beginning(model) != beginning(base))
    fail_difference(
        fmt::format("the model puts {} in front of a text, the base {}", beginning(model), beginning(base)));
  const std::vector<text::TokenId> a = model.encode(text), b = base.encode(text);
  const auto [at, other] = std::ranges::mismatch(a, b);
  if (at == a.end() && other == b.end()) return;
  fail_difference(fmt::format("they differ from token {} of the text on", at - a.begin()));
}

}  // namespace medlar::eval
