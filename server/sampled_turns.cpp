#include "server/sampled_turns.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "server/json_body.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// The arguments of a call without what clients change in passing.
std::string compact(const json::value& arguments) {
  if (!arguments.is_string()) return json::serialize(arguments);
  const json::value parsed = parsed_or_null(arguments.get_string());
  return parsed.is_null() ? std::string(arguments.get_string()) : json::serialize(parsed);
}

// What tells turns apart, as one text.
std::string key_of(std::string_view client, std::string_view content, const json::array& calls) {
  return json::serialize(json::array{client, content, calls});
}

}  // namespace

void SampledTurns::remember(std::string_view client, const reply::Reply& reply,
                            std::vector<std::int32_t> tokens) {
  json::array calls;
  for (const reply::Call& call : reply.calls)
    calls.push_back(json::array{call.name, compact(json::value(call.arguments))});
  const std::lock_guard lock(mutex_);
  tokens_ += tokens.size();
  latest_.emplace_front(key_of(client, reply.content, calls),
                        std::make_shared<const Turn>(Turn{std::move(tokens), reply.reasoning}));
  while (latest_.size() > kMostTurns || (tokens_ > kMostTokens && latest_.size() > 1)) {
    tokens_ -= latest_.back().second->tokens.size();
    latest_.pop_back();
  }
}

std::shared_ptr<const SampledTurns::Turn> SampledTurns::find(std::string_view client,
                                                             const json::object& message) const {
  const json::value* content = message.if_contains("content");
  const json::value* listed = message.if_contains("tool_calls");
  json::array calls;
  if (listed && listed->is_array()) {
    for (const json::value& call : listed->get_array()) {
      const json::value* function = call.is_object() ? call.get_object().if_contains("function") : nullptr;
      if (!function || !function->is_object()) return nullptr;
      const json::value* name = function->get_object().if_contains("name");
      const json::value* arguments = function->get_object().if_contains("arguments");
      if (!name || !arguments) return nullptr;
      calls.push_back(json::array{*name, compact(*arguments)});
    }
  }
  const std::string key =
      key_of(client, content && content->is_string() ? std::string_view(content->get_string()) : "", calls);
  const std::lock_guard lock(mutex_);
  for (const auto& [known, turn] : latest_)
    if (known == key) return turn;
  return nullptr;
}

}  // namespace medlar::server
