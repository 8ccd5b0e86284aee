// Ollama's POST /api/generate and /api/chat: lines of JSON, the last one with counts and durations.
#include <boost/json/serialize.hpp>
#include <chrono>

#include <fmt/format.h>

#include "server/generation.h"
#include "server/infill.h"
#include "server/keep_alive.h"
#include "server/ollama.h"
#include "server/openai.h"
#include "server/prompt.h"
#include "server/structure.h"

namespace medlar::server {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

// What both bodies have.
struct Common {
  std::string model;
  bool stream = true;
  json::value keep_alive;
  Structure structure;
  Settings settings;
};

}  // namespace

template <>
struct JsonType<Settings> {
  static Settings read(const json::value& v, const Path& path, const FieldSpec&) {
    return settings_form().read(v, path);
  }
  static json::object schema(const FieldSpec&) { return settings_form().schema(); }
};

namespace {

Model& model_of(const Call& call, const Common& body) {
  Model& model = call.model(body.model);
  apply_keep_alive(call, body.keep_alive);
  return model;
}

const Form<Common>& common_form() {
  static const Form<Common> form =
      Form<Common>()
          .field("model", &Common::model, {.about = "the name of the model", .required = true})
          .field("stream", &Common::stream, {.about = "send the answer as it is written"})
          .field("keep_alive", &Common::keep_alive, {.about = kKeepAliveAbout})
          .field("options", &Common::settings)
          .part(ollama_structure_form(), &Common::structure);
  return form;
}

struct GenerateBody {
  Common common;
  std::string prompt, system, suffix, template_text;
  bool raw = false;
  json::value images, context;
};
const Form<GenerateBody>& generate_form() {
  static const Form<GenerateBody> form =
      Form<GenerateBody>()
          .part(common_form(), &GenerateBody::common)
          .field("prompt", &GenerateBody::prompt, {.about = "what to answer; empty: only load the model"})
          .field("system", &GenerateBody::system, {.about = "what the model is told before"})
          .field("raw", &GenerateBody::raw, {.about = "continue the prompt without the chat template"})
          .field("suffix", &GenerateBody::suffix,
                 {.about = "what follows the answer: it fills the gap, if the model has tokens for that"})
          .field("template", &GenerateBody::template_text, {.about = "not served"})
          .field("images", &GenerateBody::images, {.about = "not served yet"})
          .field("context", &GenerateBody::context,
                 {.about = "not served: the cache finds what was said before"});
  return form;
}

struct ChatBody {
  Common common;
  std::vector<ChatMessage> messages;
};
const Form<ChatBody>& chat_form() {
  static const Form<ChatBody> form =
      Form<ChatBody>()
          .part(common_form(), &ChatBody::common)
          .field("messages", &ChatBody::messages,
                 {.about = "the conversation; empty: only load the model", .max_items = 1 << 16});
  return form;
}

// One line: `text` stands where the route has it.
struct Lines {
  std::string model;
  bool chat = false;
  Clock::time_point start = Clock::now();

  json::object line(const reply::Reply& said, bool done) const {
    json::object object{{"model", model}, {"created_at", ollama_time()}};
    json::object message;
    if (!said.reasoning.empty()) message["thinking"] = said.reasoning;
    json::array calls;
    for (const reply::Call& call : said.calls)
      calls.push_back(
          {{"id", call.id},
           {"function", {{"index", call.index}, {"name", call.name}, {"arguments", call_input(call)}}}});
    if (!calls.empty()) message["tool_calls"] = std::move(calls);
    if (chat) {
      message["role"] = "assistant";
      message["content"] = said.content;
      object["message"] = std::move(message);
    } else {
      object["response"] = said.content;
      object.insert(message.begin(), message.end());
    }
    object["done"] = done;
    return object;
  }

  // Durations are in nanoseconds.
  json::object last(const reply::Reply& said, const Outcome& outcome) const {
    const Generation& generation = outcome.generations.front();
    const auto ns = [](double ms) { return static_cast<std::int64_t>(ms * 1e6); };
    json::object object = line(said, true);
    object["done_reason"] = generation.finish == FinishReason::length ? "length" : "stop";
    object["total_duration"] =
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
    object["load_duration"] = 0;
    object["prompt_eval_count"] = outcome.usage().prompt_tokens;
    object["prompt_eval_duration"] = ns(generation.timings.prompt_ms);
    object["eval_count"] = generation.usage.completion_tokens;
    object["eval_duration"] = ns(generation.timings.decode_ms);
    object["medlar"] = medlar_json(outcome);
    return object;
  }
};

std::string ndjson(const json::value& value) { return json::serialize(value) + "\n"; }

class LineStream : public Answer {
 public:
  explicit LineStream(Lines lines) : lines_(std::move(lines)) {}
  bool streams() const override { return true; }
  void begin(Exchange& exchange, const Outcome& outcome) override {
    exchange.begin({.content_type = "application/x-ndjson", .fields = dropped_fields(outcome)});
  }
  void left_out(Exchange& exchange, int, const json::object& what) override {
    json::object line = lines_.line({}, false);
    line["medlar"] = what;
    exchange.send(ndjson(line));
  }
  void delta(Exchange& exchange, int, const Delta& delta) override {
    using Kind = reply::Delta::Kind;
    for (const reply::Delta& part : delta.parts) {
      reply::Reply said;
      if (part.kind == Kind::content) said.content = part.text;
      if (part.kind == Kind::reasoning) said.reasoning = part.text;
      if (part.kind == Kind::call_begin) call_ = {part.id, part.name, "", part.index};
      if (part.kind == Kind::call_arguments) call_.arguments += part.text;
      if (part.kind == Kind::call_end) said.calls = {call_};
      if (said != reply::Reply()) exchange.send(ndjson(lines_.line(said, false)));
    }
  }
  void end(Exchange& exchange, const Outcome& outcome) override {
    exchange.send(ndjson(lines_.last({}, outcome)));
    exchange.end();
  }
  void fail(Exchange& exchange, const ApiError& error) override {
    exchange.send(ndjson(error_object(Dialect::ollama, error)));
  }

 private:
  Lines lines_;
  reply::Call call_;  // the last one: calls are told whole
};

void answer(const Call& call, Model& model, const Common& body, Prepared prompt, Lines lines,
            std::optional<Retelling> retelling = {}) {
  Job job{.settings = body.settings, .dialect = Dialect::ollama, .retelling = std::move(retelling)};
  job.prompts.push_back(std::move(prompt));
  std::unique_ptr<Answer> answer;
  if (body.stream) {
    answer = std::make_unique<LineStream>(std::move(lines));
  } else {
    answer = whole_answer([lines = std::move(lines)](const Outcome& outcome) {
      return lines.last(reply_of(outcome.generations.front()), outcome);
    });
  }
  generate(call.service, model, call.exchange, std::move(job), std::move(answer));
}

// The answer to a request that only wants the model in memory.
void loaded(const Call& call, const Lines& lines) {
  json::object object = lines.line({}, true);
  object["done_reason"] = "load";
  call.reply(object);
}

void refuse_images(const json::value& images, const Path& path) {
  if (images.is_null() || (images.is_array() && images.get_array().empty())) return;
  fail_at(path, "this model reads text only");
}

}  // namespace

json::object ollama_generate_schema() { return generate_form().schema(); }
json::object ollama_chat_schema() { return chat_form().schema(); }

void ollama_generate(const Call& call) {
  GenerateBody body = read_body(call, generate_form());
  Model& model = model_of(call, body.common);
  if (!body.template_text.empty()) fail_at({.name = "template"}, "the model's own template is used");
  refuse_images(body.images, {.name = "images"});
  if (body.context.is_array() && !body.context.get_array().empty())
    fail_at({.name = "context"}, "send the conversation to /api/chat instead");
  Lines lines{.model = body.common.model};
  if (body.prompt.empty()) return loaded(call, lines);
  const Demands demands = ollama_demands(body.common.structure);
  Prepared prompt;
  // As Ollama does it: a model without a template continues the text.
  if (!body.suffix.empty()) {
    prompt = model.chat->prepare(
        infill_tokens(*model.engine,
                      {.before = plain_tokens(*model.engine, body.prompt), .after = body.suffix}),
        demands);
  } else if (body.raw || !model.engine->chat_template()) {
    prompt = model.chat->prepare(model.engine->tokenizer().encode(body.prompt, {.parse_special = body.raw}),
                                 demands);
  } else {
    Conversation conversation{.client = call.request().client};
    if (!body.system.empty())
      conversation.messages.push_back({{{"role", "system"}, {"content", body.system}}});
    conversation.messages.push_back({{{"role", "user"}, {"content", body.prompt}}});
    prompt = model.chat->prepare(conversation, demands);
  }
  answer(call, model, body.common, std::move(prompt), std::move(lines));
}

void ollama_chat(const Call& call) {
  ChatBody body = read_body(call, chat_form());
  Model& model = model_of(call, body.common);
  Lines lines{.model = body.common.model, .chat = true};
  if (body.messages.empty()) return loaded(call, lines);
  for (std::size_t i = 0; i < body.messages.size(); ++i) {
    json::object& message = body.messages[i].object;
    if (const json::value* images = message.if_contains("images"))
      refuse_images(*images, Path{.name = "messages"}[i] / "images");
    if (const json::value* name = message.if_contains("tool_name")) message["name"] = *name;
    if (const json::value* thinking = message.if_contains("thinking"))
      message["reasoning_content"] = *thinking;
  }
  const auto prepare = [&model, client = call.request().client,
                        demands = ollama_demands(body.common.structure)](std::vector<ChatMessage> messages) {
    return model.chat->prepare({.messages = std::move(messages), .client = client}, demands);
  };
  answer(call, model, body.common, prepare(body.messages), std::move(lines),
         Retelling{body.messages, prepare});
}

}  // namespace medlar::server
