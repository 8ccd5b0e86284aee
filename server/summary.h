// Conversations that do not fit the context: the model condenses the oldest turns, where that was asked for.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/chat.h"
#include "server/http.h"
#include "server/service.h"

namespace medlar::server {

struct Job;
class Answer;

// A conversation, and the prompt that it makes with other messages.
struct Retelling {
  std::vector<ChatMessage> messages;
  std::function<Prepared(std::vector<ChatMessage>)> prepare;
};

// What stands in place of messages [begin, end), which had that many tokens in the prompt.
struct Summary {
  std::size_t begin = 0, end = 0;
  std::int64_t tokens = 0;
  std::string text;
};
boost::json::object to_json(const Summary& summary);

// Whether the job's conversation does not fit, and may be condensed.
bool needs_summary(const Engine& engine, const Job& job);

// Condenses as many of the oldest turns as it takes, leaving system messages at the start and the newest turn
// as they are, and then generates. A turn begins with a user's message; the summary comes before the first
// one that stays. Throws ApiError(400) with the numbers where no turn can be spared.
void summarize(Service& service, Model& model, const std::shared_ptr<Exchange>& exchange, Job job,
               std::unique_ptr<Answer> answer);

}  // namespace medlar::server
