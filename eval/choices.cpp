#include "eval/choices.h"

#include <algorithm>

#include "base/error.h"
#include "eval/row.h"

namespace medlar::eval {

Continuation continuation(const text::Tokenizer& tokenizer, const std::string& prompt,
                          const std::string& choice) {
  const std::vector<text::TokenId> before = tokenizer.encode(prompt);
  Continuation c{.tokens = tokenizer.encode(prompt + choice), .bytes = std::ssize(choice)};
  c.first = static_cast<std::size_t>(std::ranges::mismatch(before, c.tokens).in2 - c.tokens.begin());
  if (c.first == 0)
    throw Error(ErrorKind::usage, "nothing stands before the choice", "give the item a prompt");
  if (c.first == c.tokens.size())
    throw Error(ErrorKind::usage, "a choice adds no token to the prompt", "give the item longer choices");
  return c;
}

double log_likelihood(Session& session, const Engine& engine, const Continuation& c) {
  const std::span<const text::TokenId> tokens(c.tokens);
  // The row of the token before gives the first scored one.
  if (c.first > 1) {
    session.feed(tokens.first(c.first - 1));
  } else {
    session.reset();
  }
  const auto rows = static_cast<std::size_t>(engine.score_rows());
  const auto vocab = static_cast<std::size_t>(engine.description().vocab);
  double sum = 0;
  for (std::size_t at = c.first - 1; at + 1 < tokens.size();) {
    const std::size_t count = std::min(rows, tokens.size() - 1 - at);
    const std::span<const float> logits = session.extend(tokens.subspan(at, count));
    for (std::size_t i = 0; i < count; ++i) {
      const std::span<const float> row = logits.subspan(i * vocab, vocab);
      sum -= score(row, log_softmax(row), tokens[at + i + 1]).nll;
    }
    at += count;
  }
  return sum;
}

ChosenAnswer choose(std::span<const double> log_p, std::span<const Continuation> continuations) {
  ChosenAnswer best;
  const auto per_byte = [&](std::size_t i) { return log_p[i] / static_cast<double>(continuations[i].bytes); };
  for (std::size_t i = 1; i < log_p.size(); ++i) {
    if (log_p[i] > log_p[best.by_sum]) best.by_sum = i;
    if (per_byte(i) > per_byte(best.by_bytes)) best.by_bytes = i;
  }
  return best;
}

}  // namespace medlar::eval
