// The events of a streamed response, each with its number.
#include <utility>

#include <fmt/format.h>

#include "server/openai.h"
#include "server/response_items.h"
#include "server/responses.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// Shared with the desk that keeps the response: its last events come from there.
struct Events {
  int next = 0;

  void send(Exchange& exchange, std::string_view type, json::object data) {
    json::object event{{"type", type}, {"sequence_number", next++}};
    event.insert(data.begin(), data.end());
    exchange.send(sse(type, event));
  }
};

class ResponseStream : public Answer {
 public:
  ResponseStream(const Call& call, ResponseFrame frame)
      : call_(call), frame_(std::move(frame)), items_(frame_.id), events_(std::make_shared<Events>()) {}
  bool streams() const override { return true; }

  void begin(Exchange& exchange, const Outcome& outcome) override {
    exchange.begin(sse_head(outcome));
    for (const std::string_view type : {"response.created", "response.in_progress"})
      send(exchange, type, {{"response", frame_.object("in_progress", {})}});
  }
  void progress(Exchange& exchange, const PromptProgress&) override {
    exchange.send(": reading the prompt\n\n");
  }

  void left_out(Exchange& exchange, int, const json::object& what) override {
    send(exchange, "response.in_progress",
         {{"response", frame_.object("in_progress", {})}, {"medlar", what}});
  }
  void delta(Exchange& exchange, int, const Delta& delta) override {
    for (const reply::Delta& part : delta.parts) take(exchange, part);
  }

  void end(Exchange& exchange, const Outcome& outcome) override {
    if (items_.all().empty()) open(exchange, {.kind = Kind::content});
    close(exchange);
    json::object response = frame_.ended(outcome, items_.all());
    keep(call_, frame_, std::move(response), [events = events_](Exchange& to, const json::object& kept) {
      events->send(to, fmt::format("response.{}", std::string_view(kept.at("status").as_string())),
                   {{"response", kept}});
      to.end();
    });
  }

  void fail(Exchange& exchange, const ApiError& error) override {
    json::object response = frame_.object("failed", items_.all());
    response["error"] = {{"code", "server_error"}, {"message", error.text()}};
    send(exchange, "response.failed", {{"response", std::move(response)}});
  }

 private:
  using Kind = reply::Delta::Kind;

  void send(Exchange& exchange, std::string_view type, json::object data) const {
    events_->send(exchange, type, std::move(data));
  }
  // With the place of the item that is open.
  void tell(Exchange& exchange, std::string_view type, json::object data) const {
    data["item_id"] = items_.last().at("id");
    data["output_index"] = items_.index();
    if (items_.kind() != Kind::call_begin) data["content_index"] = 0;
    send(exchange, type, std::move(data));
  }
  std::string_view stem() const {
    return items_.kind() == Kind::call_begin  ? "response.function_call_arguments"
           : items_.kind() == Kind::reasoning ? "response.reasoning_text"
                                              : "response.output_text";
  }
  json::object part(std::string_view text) const {
    if (items_.kind() == Kind::reasoning) return {{"type", "reasoning_text"}, {"text", text}};
    return {
        {"type", "output_text"}, {"text", text}, {"annotations", json::array()}, {"logprobs", json::array()}};
  }

  void take(Exchange& exchange, const reply::Delta& said) {
    switch (said.kind) {
      case Kind::call_begin:
        close(exchange);
        return open(exchange, said);
      case Kind::content:
      case Kind::reasoning:
        open(exchange, said);
        [[fallthrough]];
      case Kind::call_arguments: {
        items_.add(said.text);
        json::object data{{"delta", said.text}};
        if (said.kind == Kind::content) data["logprobs"] = json::array();
        return tell(exchange, fmt::format("{}.delta", stem()), std::move(data));
      }
      case Kind::call_end:
        return close(exchange);
      case Kind::call_malformed:
        items_.drop();
    }
  }

  void open(Exchange& exchange, const reply::Delta& said) {
    if (items_.open() && items_.kind() == said.kind) return;
    close(exchange);
    items_.begin(said);
    send(exchange, "response.output_item.added", {{"output_index", items_.index()}, {"item", items_.last()}});
    if (said.kind != Kind::call_begin) tell(exchange, "response.content_part.added", {{"part", part("")}});
  }

  void close(Exchange& exchange) {
    if (!items_.open()) return;
    const std::string text = items_.text();
    const bool call = items_.kind() == Kind::call_begin;
    json::object done{{call ? "arguments" : "text", text}};
    if (call) done["name"] = items_.last().at("name");
    if (items_.kind() == Kind::content) done["logprobs"] = json::array();
    tell(exchange, fmt::format("{}.done", stem()), std::move(done));
    if (!call) tell(exchange, "response.content_part.done", {{"part", part(text)}});
    items_.end();
    send(exchange, "response.output_item.done", {{"output_index", items_.index()}, {"item", items_.last()}});
  }

  Call call_;
  ResponseFrame frame_;
  OutputItems items_;
  std::shared_ptr<Events> events_;
};

}  // namespace

std::unique_ptr<Answer> response_stream(const Call& call, ResponseFrame frame) {
  return std::make_unique<ResponseStream>(call, std::move(frame));
}

}  // namespace medlar::server
