// A request to the scheduler, from its submission to the last byte of its answer.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/api_error.h"
#include "server/chat.h"
#include "server/http.h"
#include "server/service.h"
#include "server/settings.h"
#include "server/summary.h"

namespace medlar::server {

struct Job {
  std::vector<Prepared> prompts;  // at least one
  Settings settings;
  int choices = 1;  // answers to each prompt
  Dialect dialect = Dialect::openai;
  std::optional<Retelling> retelling;  // of a conversation: how to ask with fewer messages
  std::optional<Summary> summary;      // of what was left out of it
};

// Of an answer that is not taken apart, all is content.
struct Delta {
  std::vector<reply::Delta> parts;
  std::vector<TokenInfo> logprobs;

  std::string content() const;
};

// What is known so far. Choice i of prompt p has the index p * choices + i.
struct Outcome {
  std::vector<Started> started;         // (prompts)
  std::vector<Generation> generations;  // (prompts * choices), as far as they have ended
  std::vector<std::string> relaxed;     // Prepared::relaxed
  std::optional<Summary> summary;       // in place of a conversation's oldest turns

  // Prompts counted once each, whatever the number of answers.
  Usage usage() const;
  // All that was left out of what the model saw, of prompts and of answers.
  std::int64_t dropped_tokens() const;
};

// What an answer comes to; of one that is not taken apart, all is content.
reply::Reply reply_of(const Generation& generation);

// A call's arguments as the object that they are the text of.
boost::json::value call_input(const reply::Call& call);

// "x-medlar-dropped-tokens", where there are any.
std::vector<Header> dropped_fields(const Outcome& outcome);

// How a protocol writes an answer. All on the I/O thread, in this order; a whole answer needs end() only.
class Answer {
 public:
  virtual ~Answer() = default;
  // Of a stream: the first prompt has been admitted.
  virtual void begin(Exchange& exchange, const Outcome& outcome) {}
  virtual void progress(Exchange& exchange, const PromptProgress& progress) {}
  // Something was left out just now: of the prompts, or of this answer's timeline. `what` is in the form of
  // medlar_json().
  virtual void left_out(Exchange& exchange, int choice, const boost::json::object& what) {}
  virtual void delta(Exchange& exchange, int choice, const Delta& delta) {}
  virtual void finish(Exchange& exchange, int choice, const Generation& generation) {}
  virtual void end(Exchange& exchange, const Outcome& outcome) = 0;
  // The error as an event of a stream that has begun; the stream ends after it.
  virtual void fail(Exchange& exchange, const ApiError& error) {}
  virtual bool streams() const { return false; }
};

// Which of the stop strings ended it; empty: none.
std::string stop_string(const text::Tokenizer& tokenizer, const Generation& generation,
                        const std::vector<std::string>& stops);

// One JSON object when everything is there.
std::unique_ptr<Answer> whole_answer(std::function<boost::json::object(const Outcome&)> write);

// Submits the job; the rest happens by itself. If the client leaves, the job is cancelled. Throws ApiError
// for what the scheduler refuses.
void generate(Service& service, Model& model, const std::shared_ptr<Exchange>& exchange, Job job,
              std::unique_ptr<Answer> answer);

}  // namespace medlar::server
