// POST /v1/responses, and what was kept of it.
#include "server/responses.h"

#include <boost/json/serialize.hpp>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "server/desk.h"
#include "server/openai.h"
#include "server/response_items.h"
#include "server/structure.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

struct ResponseBody {
  std::string model, instructions, previous;
  json::value input;
  bool stream = false, store = true, background = false;
  json::value conversation, prompt;
  json::object metadata, variables;
  std::string user;
  Structure structure;
  Settings settings;
};

const Form<ResponseBody>& response_form() {
  static const Form<ResponseBody> form = [] {
    Form<ResponseBody> f;
    f.field("model", &ResponseBody::model,
            {.about = "the name of the model; the one that is loaded if not given"})
        .field("input", &ResponseBody::input,
               {.about = "a text, or a list of items: messages, calls and their results", .required = true})
        .field("instructions", &ResponseBody::instructions,
               {.about = "what the model is told before; not inherited from earlier responses"})
        .field("previous_response_id", &ResponseBody::previous,
               {.about = "the response that this one goes on from"})
        .field("store", &ResponseBody::store,
               {.about = "keep it for 30 days, so that others can go on from it"})
        .field("stream", &ResponseBody::stream, {.about = "send the answer as it is written"})
        .field("metadata", &ResponseBody::metadata, {.about = "kept with the response"})
        .field("user", &ResponseBody::user, {.about = "kept with the response"})
        .field("chat_template_kwargs", &ResponseBody::variables, {.about = "variables for the chat template"})
        .field("background", &ResponseBody::background, {.about = "not served"})
        .field("conversation", &ResponseBody::conversation,
               {.about = "not served: send previous_response_id"})
        .field("prompt", &ResponseBody::prompt, {.about = "not served: send instructions and input"})
        .part(responses_structure_form(), &ResponseBody::structure)
        .part(settings_form(), &ResponseBody::settings)
        .set<std::int64_t>("max_output_tokens", {.about = "tokens to write at most", .min = 1},
                           [](ResponseBody& body, std::int64_t n) { body.settings.max_tokens = n; })
        .set<std::string>(
            "truncation",
            {.about = "auto: what does not fit is left out as with \"overflow\": \"shift\", and reported",
             .choices = {"auto", "disabled"}},
            [](ResponseBody& body, std::string how) {
              if (how == "auto") body.settings.overflow = Overflow::shift;
            });
    return f;
  }();
  return form;
}

// Nobody can guess it.
std::string new_id() {
  std::random_device random;
  std::string id = "resp_";
  for (int i = 0; i < 4; ++i) id += fmt::format("{:08x}", random());
  return id;
}

json::value or_null(const std::string& text) { return text.empty() ? json::value() : json::value(text); }

// What the request said, with the values that were used.
json::object asked(const ResponseBody& body, const std::string& model) {
  const Structure& structure = body.structure;
  json::object result{
      {"created_at", unix_time()},
      {"model", model},
      {"background", false},
      {"instructions", or_null(body.instructions)},
      {"metadata", body.metadata},
      {"parallel_tool_calls", structure.parallel_tool_calls},
      {"previous_response_id", or_null(body.previous)},
      {"reasoning", {{"effort", or_null(structure.reasoning_effort)}, {"summary", nullptr}}},
      {"store", body.store},
      {"temperature", body.settings.sampler.temperature},
      {"top_p", body.settings.sampler.top_p},
      {"text", structure.text.is_null() ? json::object{{"format", {{"type", "text"}}}} : structure.text},
      {"tool_choice", structure.tool_choice.is_null() ? json::value("auto") : structure.tool_choice},
      {"tools", structure.tools.is_null() ? json::array() : structure.tools},
      {"truncation",
       body.settings.overflow == Overflow::shift || body.settings.summarize ? "auto" : "disabled"},
      {"user", or_null(body.user)}};
  result["max_output_tokens"] =
      body.settings.max_tokens ? json::value(*body.settings.max_tokens) : json::value();
  return result;
}

// The conversation of all items, the latest last.
void respond(const Call& call, ResponseBody body, json::array earlier) {
  Model& model = call.model(body.model);
  const json::array own = input_items(body.input);
  const Path path{.name = "input"};
  messages_of(own, path);  // whatever is wrong with it is told by its own places
  earlier.insert(earlier.end(), own.begin(), own.end());
  std::vector<ChatMessage> messages = messages_of(earlier, path);
  if (!body.instructions.empty())
    messages.insert(messages.begin(), {{{"role", "system"}, {"content", body.instructions}}});
  const auto prepare = [&model, variables = std::move(body.variables), client = call.request().client,
                        demands = responses_demands(body.structure)](std::vector<ChatMessage> some) {
    return model.chat->prepare({.messages = std::move(some), .variables = variables, .client = client},
                               demands);
  };
  Job job{.settings = body.settings, .dialect = Dialect::openai};
  if (body.settings.summarize) job.retelling = {messages, prepare};
  job.prompts.push_back(prepare(std::move(messages)));
  ResponseFrame frame{.id = new_id(),
                      .asked = asked(body, body.model.empty() ? model.name() : body.model),
                      .previous = body.previous,
                      .input = own,
                      .store = body.store};
  generate(call.service, model, call.exchange, std::move(job),
           body.stream ? response_stream(call, std::move(frame)) : whole_response(call, std::move(frame)));
}

void create(const Call& call) {
  ResponseBody body = read_body(call, response_form());
  for (const auto& [name, value] : {std::pair{"conversation", &body.conversation}, {"prompt", &body.prompt}})
    if (!value->is_null()) fail_at({.name = name}, "is not served");
  if (body.background) fail_at({.name = "background"}, "answers are written while the client waits");
  if (body.previous.empty()) return respond(call, std::move(body), {});
  call.service.responses->run(call, [body = std::move(body)](ResponseStore& store, const Call& c) {
    respond(c, body, store.items_through(c.request().client, body.previous));
  });
}

[[noreturn]] void fail_missing(std::string_view id) {
  throw ApiError(404, fmt::format("there is no response \"{}\"", printable(id, 128)),
                 {.param = "response_id", .code = "not_found"});
}

// GET /v1/responses/{id} and /v1/responses/{id}/input_items.
void get(const Call& call) {
  call.service.responses->run(call, [](ResponseStore& store, const Call& c) {
    constexpr std::string_view kItems = "/input_items";
    std::string_view id = c.rest;
    const bool items = id.ends_with(kItems);
    if (items) id.remove_suffix(kItems.size());
    const std::optional<StoredResponse> found = store.get(c.request().client, id);
    if (!found) fail_missing(id);
    if (!items) return c.reply(found->response);
    c.reply({{"object", "list"}, {"data", found->input}, {"has_more", false}});
  });
}

void remove(const Call& call) {
  call.service.responses->run(call, [](ResponseStore& store, const Call& c) {
    if (!store.remove(c.request().client, c.rest)) fail_missing(c.rest);
    c.reply({{"id", c.rest}, {"object", "response"}, {"deleted", true}});
  });
}

class WholeResponse : public Answer {
 public:
  WholeResponse(const Call& call, ResponseFrame frame) : call_(call), frame_(std::move(frame)) {}
  void end(Exchange&, const Outcome& outcome) override {
    json::object response =
        frame_.ended(outcome, output_items(frame_.id, reply_of(outcome.generations.front())));
    keep(call_, frame_, std::move(response),
         [fields = dropped_fields(outcome)](Exchange& exchange, const json::object& kept) {
           exchange.reply({.body = json::serialize(kept), .fields = fields});
         });
  }

 private:
  Call call_;
  ResponseFrame frame_;
};

}  // namespace

json::object ResponseFrame::object(std::string_view status, json::array output) const {
  json::object response{{"id", id}, {"object", "response"}, {"status", status}};
  response.insert(asked.begin(), asked.end());
  response["error"] = nullptr;
  response["incomplete_details"] = nullptr;
  response["output"] = std::move(output);
  response["usage"] = nullptr;
  return response;
}

json::object ResponseFrame::ended(const Outcome& outcome, json::array output) const {
  const bool whole = outcome.generations.front().finish != FinishReason::length;
  json::object response = object(whole ? "completed" : "incomplete", std::move(output));
  if (!whole) response["incomplete_details"] = {{"reason", "max_output_tokens"}};
  const Usage usage = outcome.usage();
  response["usage"] = {{"input_tokens", usage.prompt_tokens},
                       {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
                       {"output_tokens", usage.completion_tokens},
                       {"output_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
                       {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
  response["medlar"] = medlar_json(outcome);
  return response;
}

void keep(const Call& call, const ResponseFrame& frame, json::object response,
          std::function<void(Exchange&, const json::object&)> send) {
  if (!frame.store) return send(*call.exchange, response);
  StoredResponse stored{.previous = frame.previous, .input = frame.input, .response = std::move(response)};
  call.service.responses->run_unopened(
      call, [stored = std::move(stored), send = std::move(send)](const Call& c) {
        json::object kept = stored.response;
        try {
          c.service.responses->store().put(c.request().client, stored);
        } catch (const Error& e) {
          c.service.log.warning("response not kept request={} reason=\"{}\"", c.request().id, e.what());
          kept["store"] = false;
          kept["medlar"].as_object()["not_stored"] = e.what();
        }
        send(*c.exchange, kept);
      });
}

std::unique_ptr<Answer> whole_response(const Call& call, ResponseFrame frame) {
  return std::make_unique<WholeResponse>(call, std::move(frame));
}

std::span<const Route> response_routes() {
  static const std::vector<Route> routes{
      {.method = Method::post,
       .path = "/v1/responses",
       .handler = create,
       .about = "Answer items, and keep the answer to go on from",
       .body = [] { return response_form().schema(); }},
      {.path = "/v1/responses/{id}",
       .handler = get,
       .about = "A response that was kept; with /input_items behind it, its input"},
      {.method = Method::del, .path = "/v1/responses/{id}", .handler = remove, .about = "Forget a response"},
  };
  return routes;
}

}  // namespace medlar::server
