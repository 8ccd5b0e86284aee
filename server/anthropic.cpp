// Anthropic's API: POST /v1/messages and /v1/messages/count_tokens.
#include <algorithm>
#include <boost/json/object.hpp>
#include <iterator>
#include <optional>
#include <utility>

#include "server/anthropic_messages.h"
#include "server/openai.h"
#include "server/prompt.h"
#include "server/routes.h"
#include "server/structure.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

struct MessagesBody {
  std::string model;
  std::vector<AnthropicMessage> messages;
  json::value system;
  bool stream = false;
  Structure structure;
  Settings settings;
};

Form<MessagesBody> messages_form(bool generates) {
  Form<MessagesBody> form;
  form.field("model", &MessagesBody::model, {.about = "the name of the model", .required = true})
      .field("messages", &MessagesBody::messages,
             {.about = "the conversation; an assistant's message at the end is continued",
              .max_items = 1 << 16,
              .required = true})
      .field("system", &MessagesBody::system, {.about = "a text, or a list of text blocks"})
      .field("stream", &MessagesBody::stream, {.about = "send the answer as it is written"})
      .part(anthropic_structure_form(), &MessagesBody::structure)
      .part(settings_form(), &MessagesBody::settings)
      .set<std::vector<std::string>>(
          "stop_sequences", {.about = "the answer ends before the first of these", .max_items = 256},
          [](MessagesBody& body, std::vector<std::string> stops) { body.settings.stop = std::move(stops); });
  if (generates) form.require("max_tokens");
  return form;
}

const Form<MessagesBody>& message_form() {
  static const Form<MessagesBody> form = messages_form(true);
  return form;
}
const Form<MessagesBody>& count_form() {
  static const Form<MessagesBody> form = messages_form(false);
  return form;
}

Conversation conversation_of(const Call& call, MessagesBody& body) {
  Conversation conversation{.client = call.request().client};
  for (AnthropicMessage& message : body.messages)
    std::ranges::move(message.messages, std::back_inserter(conversation.messages));
  const json::object& last = conversation.messages.back().object;
  conversation.continue_last = last.at("role") == "assistant" && !last.contains("tool_calls");
  if (!body.system.is_null()) {
    const std::string system = read_text_parts(body.system, {.name = "system"});
    conversation.messages.insert(conversation.messages.begin(), {{{"role", "system"}, {"content", system}}});
  }
  return conversation;
}

// What was cached is counted apart from the rest of the input.
json::object usage_json(const Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens - usage.cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.cached_tokens},
          {"output_tokens", usage.completion_tokens}};
}

struct MessageFrame {
  std::string id, model;
  std::vector<std::string> stops;
  const text::Tokenizer* tokenizer = nullptr;

  json::object message(json::array content, const Usage& usage) const {
    return {{"id", id},
            {"type", "message"},
            {"role", "assistant"},
            {"model", model},
            {"content", std::move(content)},
            {"stop_reason", nullptr},
            {"stop_sequence", nullptr},
            {"usage", usage_json(usage)}};
  }
  // {"stop_reason", "stop_sequence"}
  json::object end(const Generation& generation) const {
    const std::string stop = stop_string(*tokenizer, generation, stops);
    if (!stop.empty()) return {{"stop_reason", "stop_sequence"}, {"stop_sequence", stop}};
    const std::string_view reason = generation.finish == FinishReason::length ? "max_tokens"
                                    : reply_of(generation).calls.empty()      ? "end_turn"
                                                                              : "tool_use";
    return {{"stop_reason", reason}, {"stop_sequence", nullptr}};
  }
};

json::object whole_message(const MessageFrame& frame, const Outcome& outcome) {
  const Generation& generation = outcome.generations.front();
  json::object message = frame.message(content_blocks(reply_of(generation)), outcome.usage());
  for (auto& [name, value] : frame.end(generation)) message[name] = value;
  message["medlar"] = medlar_json(outcome);
  return message;
}

class MessageStream : public Answer {
 public:
  explicit MessageStream(MessageFrame frame) : frame_(std::move(frame)) {}
  bool streams() const override { return true; }

  void begin(Exchange& exchange, const Outcome& outcome) override {
    exchange.begin(sse_head(outcome));
    send(exchange, "message_start", {{"message", frame_.message({}, outcome.usage())}});
  }
  void progress(Exchange& exchange, const PromptProgress&) override { send(exchange, "ping", {}); }
  void left_out(Exchange& exchange, int, const json::object& what) override {
    send(exchange, "ping", {{"medlar", what}});
  }
  void delta(Exchange& exchange, int, const Delta& delta) override {
    for (const reply::Delta& part : delta.parts) say(exchange, part);
  }
  void end(Exchange& exchange, const Outcome& outcome) override {
    if (index_ < 0) open(exchange, Kind::content, {{"type", "text"}, {"text", ""}});
    close(exchange);
    send(exchange, "message_delta",
         {{"delta", frame_.end(outcome.generations.front())},
          {"usage", usage_json(outcome.usage())},
          {"medlar", medlar_json(outcome)}});
    send(exchange, "message_stop", {});
    exchange.end();
  }
  void fail(Exchange& exchange, const ApiError& error) override {
    exchange.send(sse("error", error_object(Dialect::anthropic, error)));
  }

 private:
  using Kind = reply::Delta::Kind;

  void say(Exchange& exchange, const reply::Delta& part) {
    switch (part.kind) {
      case Kind::content:
        open(exchange, part.kind, {{"type", "text"}, {"text", ""}});
        return add(exchange, {{"type", "text_delta"}, {"text", part.text}});
      case Kind::reasoning:
        open(exchange, part.kind, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
        return add(exchange, {{"type", "thinking_delta"}, {"thinking", part.text}});
      case Kind::call_begin:
        close(exchange);
        return open(exchange, part.kind,
                    {{"type", "tool_use"}, {"id", part.id}, {"name", part.name}, {"input", json::object()}});
      case Kind::call_arguments:
        return add(exchange, {{"type", "input_json_delta"}, {"partial_json", part.text}});
      case Kind::call_end:
      case Kind::call_malformed:
        return close(exchange);
    }
  }
  // Blocks follow each other: one ends where another kind begins.
  void open(Exchange& exchange, Kind kind, json::object block) {
    if (open_ == kind) return;
    close(exchange);
    open_ = kind;
    send(exchange, "content_block_start", {{"index", ++index_}, {"content_block", std::move(block)}});
  }
  void add(Exchange& exchange, json::object delta) const {
    send(exchange, "content_block_delta", {{"index", index_}, {"delta", std::move(delta)}});
  }
  void close(Exchange& exchange) {
    if (std::exchange(open_, std::nullopt)) send(exchange, "content_block_stop", {{"index", index_}});
  }
  static void send(Exchange& exchange, std::string_view event, json::object data) {
    json::object object{{"type", event}};
    object.insert(data.begin(), data.end());
    exchange.send(sse(event, object));
  }

  MessageFrame frame_;
  std::optional<Kind> open_;
  int index_ = -1;  // of the last block
};

void messages(const Call& call) {
  MessagesBody body = read_body(call, message_form());
  Model& model = call.model(body.model);
  Job job{.settings = body.settings, .dialect = Dialect::anthropic};
  const Conversation conversation = conversation_of(call, body);
  const auto prepare = [&model, conversation,
                        demands = anthropic_demands(body.structure)](std::vector<ChatMessage> messages) {
    Conversation told = conversation;
    told.messages = std::move(messages);
    return model.chat->prepare(told, demands);
  };
  if (body.settings.summarize) job.retelling = {conversation.messages, prepare};
  job.prompts.push_back(prepare(conversation.messages));
  const MessageFrame frame{.id = "msg_" + call.request().id,
                           .model = body.model,
                           .stops = body.settings.stop,
                           .tokenizer = &model.engine->tokenizer()};
  std::unique_ptr<Answer> answer;
  if (body.stream) {
    answer = std::make_unique<MessageStream>(frame);
  } else {
    answer = whole_answer([frame](const Outcome& outcome) { return whole_message(frame, outcome); });
  }
  generate(call.service, model, call.exchange, std::move(job), std::move(answer));
}

void count_tokens(const Call& call) {
  MessagesBody body = read_body(call, count_form());
  const Model& model = call.model(body.model);
  const Conversation conversation = conversation_of(call, body);
  const Prepared prompt = model.chat->prepare(conversation, anthropic_demands(body.structure));
  call.reply({{"input_tokens", prompt.tokens.size()}});
}

}  // namespace

std::span<const Route> anthropic_routes() {
  static const std::vector<Route> routes{
      {.method = Method::post,
       .path = "/v1/messages",
       .dialect = Dialect::anthropic,
       .handler = messages,
       .about = "Answer a conversation",
       .body = [] { return message_form().schema(); }},
      {.method = Method::post,
       .path = "/v1/messages/count_tokens",
       .dialect = Dialect::anthropic,
       .handler = count_tokens,
       .about = "The number of tokens that a conversation has",
       .body = [] { return count_form().schema(); }},
  };
  return routes;
}

}  // namespace medlar::server
