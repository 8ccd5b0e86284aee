// Answer: what follows from logits, one token at a time, until the answer ends.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/answer_grammar.h"
#include "engine/engine.h"
#include "engine/reply_stream.h"
#include "engine/row_logits.h"
#include "engine/sampler/sampler.h"
#include "engine/stop_filter.h"
#include "text/token_stream.h"

namespace medlar {

// One answer to one prompt. Copies nothing of the tokenizer, which must outlive it.
class Answer {
 public:
  // Throws as validate() does.
  Answer(const text::Tokenizer& tokenizer, std::int64_t vocab, GenerateOptions options);

  // The prompt that is answered; time counts from here.
  void begin(std::span<const std::int32_t> prompt);
  // It has been read, all but the `cached` tokens.
  void prompt_read(std::int64_t cached);

  // Samples a token after these logits. Nothing: the answer has ended.
  std::optional<std::int32_t> next(const RowLogits& logits);
  void end(FinishReason reason, std::string message = {});
  bool done() const { return done_; }

  // Leaves `count` tokens out of the timeline, from position `begin` on.
  void drop(std::int64_t begin, std::int64_t count);
  // Prompt and answer so far, less what was left out.
  std::span<const std::int32_t> timeline() const { return timeline_; }
  const Generation& so_far() const { return out_; }
  // Once done: hands over what was held back, and the whole.
  Generation finish();

 private:
  using Clock = std::chrono::steady_clock;

  std::int32_t choose(const RowLogits& logits);
  std::int32_t sample(const RowLogits& logits);
  std::int32_t draw(const RowLogits& logits);
  std::optional<std::int32_t> forced();
  bool allow();
  void take(std::int32_t token, const RowLogits& logits);
  void limit_reasoning();
  void say(std::int32_t token);
  void emit(std::string text);
  void tell(std::vector<reply::Delta>&& deltas);

  const text::Tokenizer& tokenizer_;
  GenerateOptions options_;
  Sampler sampler_;
  text::TextStream stream_;
  StopFilter stops_;
  std::optional<ReplyStream> reply_;
  std::optional<AnswerGrammar> grammar_;
  grammar::TokenBits allowed_;       // empty: all
  std::int64_t reasoned_ = 0;        // tokens
  std::deque<std::int32_t> forced_;  // what comes next, whatever the model would say
  std::vector<std::int32_t> timeline_;
  Generation out_;
  std::int64_t evaluated_ = 0;  // tokens of the prompt that were read
  bool done_ = false;
  Clock::time_point start_;
  std::optional<Clock::time_point> first_, last_;
};

// The error where a prompt of `tokens` leaves no room in a context of that size, or nothing.
void check_fits(std::int64_t tokens, std::int64_t context);

// What an answer says that ends because no token more fits.
std::string context_full(std::int64_t context);

}  // namespace medlar
