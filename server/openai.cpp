#include "server/openai.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <ctime>

#include <fmt/format.h>

#include "server/models.h"
#include "server/routes.h"
#include "server/url.h"
#include "text/token_stream.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// "2026-11-21T04:06:00Z"; 0 where it is something else.
std::int64_t seconds_since_1970(const std::string& time) {
  std::tm utc{};
  const char* end = strptime(time.c_str(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return end && *end == '\0' ? static_cast<std::int64_t>(timegm(&utc)) : 0;
}

json::object model_object(const Model& model, const std::string& name) {
  const ModelDescription& about = model.engine->description();
  return {{"id", name},
          {"object", "model"},
          {"created", model.loaded},
          {"owned_by", "medlar"},
          {"meta",
           {{"n_vocab", about.vocab},
            {"n_ctx", model.engine->context()},
            {"n_ctx_train", about.trained_context},
            {"n_embd", about.dim},
            {"n_params", about.parameters},
            {"size", about.file_bytes}}}};
}

// Those in memory first, under each of their names; the others are loaded when they are asked.
void list_models(const Call& call) {
  call.service.models->reads().run(call, [](const Call& c) {
    json::array models;
    const std::vector<Shelf::Lease> loaded = c.service.shelf.all();
    for (const Shelf::Lease& model : loaded)
      for (const std::string& name : model->names) models.push_back(model_object(*model, name));
    for (const store::InstalledModel& model : c.service.models->installed()) {
      if (std::ranges::any_of(loaded, [&](const auto& l) { return l->has_name(model.name); })) continue;
      models.push_back({{"id", model.name},
                        {"object", "model"},
                        {"created", seconds_since_1970(model.created)},
                        {"owned_by", "medlar"}});
    }
    c.reply({{"object", "list"}, {"data", std::move(models)}});
  });
}

void show_model(const Call& call) {
  const std::string name = percent_decoded(call.rest);
  call.reply(model_object(call.model(name), name));
}

json::object dropped_json(const DroppedTokens& dropped) {
  return {{"begin", dropped.begin}, {"end", dropped.end}};
}

// Positions count from the first token of a prompt; an answer's go on behind its prompt.
json::array dropped_list(const Outcome& outcome) {
  json::array list;
  for (std::size_t i = 0; i < outcome.started.size(); ++i) {
    if (!outcome.started[i].dropped) continue;
    json::object entry = dropped_json(*outcome.started[i].dropped);
    entry["prompt"] = i;
    list.push_back(std::move(entry));
  }
  for (std::size_t i = 0; i < outcome.generations.size(); ++i) {
    for (const DroppedTokens& dropped : outcome.generations[i].dropped) {
      json::object entry = dropped_json(dropped);
      entry["choice"] = i;
      list.push_back(std::move(entry));
    }
  }
  return list;
}

json::object token_logprob(const text::Tokenizer& tokenizer, std::int32_t token, float logprob) {
  json::array bytes;
  for (const char c : tokenizer.piece(token, {.special = true}))
    bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", token_text(tokenizer, token)}, {"logprob", logprob}, {"bytes", std::move(bytes)}};
}

}  // namespace

void chat_completions(const Call& call);
json::object chat_completions_schema();
void completions(const Call& call);
json::object completions_schema();

std::span<const Route> openai_routes() {
  static const std::vector<Route> routes{
      {.path = "/v1/models", .handler = list_models, .about = "The models that can be asked"},
      {.path = "/v1/models/{model}", .handler = show_model, .about = "One model"},
      {.method = Method::post,
       .path = "/v1/chat/completions",
       .handler = chat_completions,
       .about = "Answer a conversation",
       .body = chat_completions_schema},
      {.method = Method::post,
       .path = "/v1/completions",
       .handler = completions,
       .about = "Continue a text",
       .body = completions_schema},
  };
  return routes;
}

std::int64_t unix_time() { return static_cast<std::int64_t>(std::time(nullptr)); }

std::string sse(const json::value& data) { return "data: " + json::serialize(data) + "\n\n"; }
std::string sse(std::string_view event, const json::value& data) {
  return fmt::format("event: {}\ndata: {}\n\n", event, json::serialize(data));
}
Response sse_head(const Outcome& outcome) {
  Response head{.content_type = "text/event-stream", .fields = dropped_fields(outcome)};
  head.fields.push_back({"cache-control", "no-cache"});
  head.fields.push_back({"x-accel-buffering", "no"});
  return head;
}

std::string_view openai_finish(const Generation& generation) {
  if (generation.finish == FinishReason::length) return "length";
  return generation.reply && !generation.reply->calls.empty() ? "tool_calls" : "stop";
}

json::object openai_message(const reply::Reply& reply) {
  json::object message{{"role", "assistant"}, {"content", reply.content}, {"refusal", nullptr}};
  if (!reply.reasoning.empty()) message["reasoning_content"] = reply.reasoning;
  if (reply.calls.empty()) return message;
  if (reply.content.empty()) message["content"] = nullptr;
  json::array calls;
  for (const reply::Call& call : reply.calls)
    calls.push_back({{"id", call.id},
                     {"type", "function"},
                     {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  message["tool_calls"] = std::move(calls);
  return message;
}

json::object openai_usage(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}}};
}

json::object timings_json(const Generation& generation) {
  const Usage& usage = generation.usage;
  const Timings& timings = generation.timings;
  const auto each = [](double ms, std::int64_t n) { return n > 0 ? ms / static_cast<double>(n) : 0; };
  const std::int64_t read = usage.prompt_tokens - usage.cached_tokens;
  return {{"cache_n", usage.cached_tokens},
          {"prompt_n", read},
          {"prompt_ms", timings.prompt_ms},
          {"prompt_per_token_ms", each(timings.prompt_ms, read)},
          {"prompt_per_second", timings.prompt_tps},
          {"predicted_n", usage.completion_tokens},
          {"predicted_ms", timings.decode_ms},
          {"predicted_per_token_ms", each(timings.decode_ms, usage.completion_tokens)},
          {"predicted_per_second", timings.decode_tps},
          {"first_token_ms", timings.ttft_ms}};
}

json::object left_out_json(const Outcome& outcome) {
  json::object result;
  if (json::array dropped = dropped_list(outcome); !dropped.empty()) result["dropped"] = std::move(dropped);
  if (outcome.summary) result["summarized"] = to_json(*outcome.summary);
  return result;
}

json::object left_out_json(int choice, const DroppedTokens& dropped) {
  json::object entry = dropped_json(dropped);
  entry["choice"] = choice;
  return {{"dropped", json::array{std::move(entry)}}};
}

json::object medlar_json(const Outcome& outcome) {
  const Usage usage = outcome.usage();
  json::object cache{
      {"prompt_tokens", usage.prompt_tokens}, {"cached_tokens", usage.cached_tokens}, {"miss", nullptr}};
  for (const Started& prompt : outcome.started) {
    if (prompt.miss)
      cache["miss"] = {{"position", prompt.miss->position},
                       {"cached", valid_utf8(prompt.miss->cached)},
                       {"given", valid_utf8(prompt.miss->given)}};
  }
  json::object result{{"cache", std::move(cache)}};
  for (auto& [key, value] : left_out_json(outcome)) result[key] = value;
  json::array messages;
  for (const Generation& generation : outcome.generations) {
    if (!generation.message.empty()) messages.push_back(json::value(generation.message));
    if (generation.reply && generation.reply->malformed)
      messages.push_back("the answer began a tool call that is none; its text is in the content");
  }
  for (const std::string& why : outcome.relaxed)
    messages.push_back(json::value("a tool's arguments are any JSON of their type: " + why));
  if (!messages.empty()) result["messages"] = std::move(messages);
  if (!outcome.generations.empty()) result["seed"] = outcome.generations.front().seed;
  return result;
}

std::string valid_utf8(std::string_view bytes) {
  text::Utf8Stream stream;
  std::string text = stream.push(bytes);
  return text + stream.finish();
}

std::string token_text(const text::Tokenizer& tokenizer, std::int32_t token) {
  return valid_utf8(tokenizer.piece(token, {.special = true}));
}

json::array chat_logprobs(const text::Tokenizer& tokenizer, std::span<const TokenInfo> tokens, int top) {
  json::array result;
  for (const TokenInfo& info : tokens) {
    json::object entry = token_logprob(tokenizer, info.token, info.logprob);
    json::array best;
    for (const TokenProbability& other : info.best) {
      if (static_cast<int>(best.size()) < top)
        best.push_back(token_logprob(tokenizer, other.token, other.logprob));
    }
    entry["top_logprobs"] = std::move(best);
    result.push_back(std::move(entry));
  }
  return result;
}

void end_stream(Exchange& exchange, const Outcome& outcome, boost::json::object last,
                std::optional<boost::json::object> usage) {
  last["timings"] = timings_json(outcome.generations.front());
  last["medlar"] = medlar_json(outcome);
  if (usage) last["usage"] = nullptr;
  exchange.send(sse(last));
  if (usage) {
    (*usage)["usage"] = openai_usage(outcome.usage());
    exchange.send(sse(*usage));
  }
  exchange.send("data: [DONE]\n\n");
  exchange.end();
}

}  // namespace medlar::server
