// How likely a model finds each of several continuations of a prompt.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "text/tokenizer.h"

namespace medlar::eval {

// A prompt followed by a choice, as the model reads it.
struct Continuation {
  std::vector<text::TokenId> tokens;
  std::size_t first = 0;   // of the tokens that are scored; the prompt alone has the same ones before it
  std::int64_t bytes = 0;  // of the choice
};

// The text of both is tokenized as one: tokens that the choice changes at the prompt's end belong to the
// choice. Throws Error(usage) where nothing would stand before the choice.
Continuation continuation(const text::Tokenizer& tokenizer, const std::string& prompt,
                          const std::string& choice);

// ln p of the scored tokens, given those before them. The context must hold them all; where continuations
// begin alike, that part is read once if they follow each other. Throws what Session::extend throws.
double log_likelihood(Session& session, const Engine& engine, const Continuation& c);

struct ChosenAnswer {
  std::size_t by_bytes = 0;  // highest ln p a byte of the choice
  std::size_t by_sum = 0;    // highest ln p
};
// `log_p`: one for each continuation. Of equal ones the first.
ChosenAnswer choose(std::span<const double> log_p, std::span<const Continuation> continuations);

}  // namespace medlar::eval
