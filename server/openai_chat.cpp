// POST /v1/chat/completions
#include <boost/json/object.hpp>

#include <fmt/format.h>

#include "server/openai.h"
#include "server/prompt.h"
#include "server/routes.h"
#include "server/structure.h"

namespace medlar::server {

void chat_completions(const Call& call);
boost::json::object chat_completions_schema();

namespace {

namespace json = boost::json;

struct StreamOptions {
  bool include_usage = false;
};
const Form<StreamOptions>& stream_options_form() {
  static const Form<StreamOptions> form = Form<StreamOptions>().field(
      "include_usage", &StreamOptions::include_usage, {.about = "end with a chunk that holds the usage"});
  return form;
}

struct ChatBody {
  std::string model;
  std::vector<ChatMessage> messages;
  bool stream = false;
  StreamOptions stream_options;
  int choices = 1;
  bool logprobs = false;
  int top_logprobs = 0;
  json::object variables;
  bool continue_last = false;
  bool progress = false;
  Structure structure;
  Settings settings;
};

}  // namespace

template <>
struct JsonType<StreamOptions> {
  static StreamOptions read(const json::value& v, const Path& path, const FieldSpec&) {
    return stream_options_form().read(v, path);
  }
  static json::object schema(const FieldSpec&) { return stream_options_form().schema(); }
};

namespace {

const Form<ChatBody>& chat_form() {
  static const Form<ChatBody> form =
      Form<ChatBody>()
          .field("model", &ChatBody::model,
                 {.about = "the name of the model; the one that is loaded if not given"})
          .field("messages", &ChatBody::messages,
                 {.about = "the conversation", .max_items = 1 << 16, .required = true})
          .field("stream", &ChatBody::stream, {.about = "send the answer as it is written"})
          .field("stream_options", &ChatBody::stream_options)
          .field("n", &ChatBody::choices, {.about = "how many answers", .min = 1, .max = 64})
          .field("logprobs", &ChatBody::logprobs, {.about = "report the log probabilities of tokens"})
          .field("top_logprobs", &ChatBody::top_logprobs,
                 {.about = "and of the most likely ones in each place", .min = 0, .max = 20})
          .field("chat_template_kwargs", &ChatBody::variables, {.about = "variables for the chat template"})
          .field("continue_final_message", &ChatBody::continue_last,
                 {.about = "the last message is the beginning of the answer"})
          .field("return_progress", &ChatBody::progress,
                 {.about = "stream chunks with prompt_progress while the prompt is read"})
          .part(openai_structure_form(), &ChatBody::structure)
          .part(settings_form(), &ChatBody::settings);
  return form;
}

// What every chunk and the whole answer begin with.
struct ChatFrame {
  std::string id, model;
  std::int64_t created = unix_time();
  bool logprobs = false;
  int top = 0;
  const text::Tokenizer* tokenizer = nullptr;

  json::object object(std::string_view kind, json::array choices) const {
    return {{"id", id},
            {"object", kind},
            {"created", created},
            {"model", model},
            {"choices", std::move(choices)}};
  }
  json::value logprobs_of(std::span<const TokenInfo> tokens) const {
    if (!logprobs) return nullptr;
    return json::object{{"content", chat_logprobs(*tokenizer, tokens, top)}, {"refusal", nullptr}};
  }
};

json::object chat_completion(const ChatFrame& frame, const Outcome& outcome) {
  json::array choices;
  for (const Generation& generation : outcome.generations)
    choices.push_back({{"index", choices.size()},
                       {"message", openai_message(reply_of(generation))},
                       {"logprobs", frame.logprobs_of(generation.logprobs)},
                       {"finish_reason", openai_finish(generation)}});
  json::object answer = frame.object("chat.completion", std::move(choices));
  answer["usage"] = openai_usage(outcome.usage());
  answer["timings"] = timings_json(outcome.generations.front());
  answer["medlar"] = medlar_json(outcome);
  return answer;
}

class ChatStream : public Answer {
 public:
  ChatStream(ChatFrame frame, bool usage, bool progress)
      : frame_(std::move(frame)), usage_(usage), progress_(progress) {}
  bool streams() const override { return true; }

  void begin(Exchange& exchange, const Outcome& outcome) override {
    exchange.begin(sse_head(outcome));
    for (std::size_t i = 0; i < outcome.generations.size(); ++i)
      send(exchange, chunk(static_cast<int>(i), {{"role", "assistant"}, {"content", ""}}));
  }
  void progress(Exchange& exchange, const PromptProgress& progress) override {
    if (!progress_) return exchange.send(": reading the prompt\n\n");
    json::object object = frame_.object("chat.completion.chunk", {});
    object["prompt_progress"] = {{"processed", progress.done}, {"total", progress.total}};
    exchange.send(sse(object));
  }
  void left_out(Exchange& exchange, int choice, const json::object& what) override {
    json::object object = frame_.object("chat.completion.chunk", {chunk(choice, json::object())});
    object["medlar"] = what;
    exchange.send(sse(object));
  }
  void delta(Exchange& exchange, int choice, const Delta& delta) override {
    json::value logprobs = frame_.logprobs_of(delta.logprobs);
    for (const reply::Delta& part : delta.parts) {
      std::optional<json::object> said = delta_of(part);
      if (!said) continue;
      json::object object = chunk(choice, std::move(*said));
      object["logprobs"] = std::exchange(logprobs, nullptr);
      send(exchange, std::move(object));
    }
  }
  void finish(Exchange& exchange, int choice, const Generation& generation) override {
    if (!last_.empty()) send(exchange, std::move(last_));
    last_ = chunk(choice, json::object());
    last_["finish_reason"] = openai_finish(generation);
  }
  void end(Exchange& exchange, const Outcome& outcome) override {
    json::object last = frame_.object("chat.completion.chunk", {std::move(last_)});
    end_stream(exchange, outcome, std::move(last),
               usage_ ? std::optional(frame_.object("chat.completion.chunk", {})) : std::nullopt);
  }
  void fail(Exchange& exchange, const ApiError& error) override {
    exchange.send(sse(error_object(Dialect::openai, error)));
  }

 private:
  static std::optional<json::object> delta_of(const reply::Delta& part) {
    using Kind = reply::Delta::Kind;
    const auto call = [&](json::object call) {
      call["index"] = part.index;
      return json::object{{"tool_calls", json::array{std::move(call)}}};
    };
    switch (part.kind) {
      case Kind::content:
        return json::object{{"content", part.text}};
      case Kind::reasoning:
        return json::object{{"reasoning_content", part.text}};
      case Kind::call_begin:
        return call(
            {{"id", part.id}, {"type", "function"}, {"function", {{"name", part.name}, {"arguments", ""}}}});
      case Kind::call_arguments:
        return call({{"function", {{"arguments", part.text}}}});
      default:
        return std::nullopt;
    }
  }
  static json::object chunk(int choice, json::object delta) {
    return {
        {"index", choice}, {"delta", std::move(delta)}, {"logprobs", nullptr}, {"finish_reason", nullptr}};
  }
  void send(Exchange& exchange, json::object choice) {
    json::object object = frame_.object("chat.completion.chunk", {std::move(choice)});
    if (usage_) object["usage"] = nullptr;
    exchange.send(sse(object));
  }

  ChatFrame frame_;
  bool usage_, progress_;
  json::object last_;  // held back: the last chunk also tells of cache and time
};

}  // namespace

json::object chat_completions_schema() { return chat_form().schema(); }

void chat_completions(const Call& call) {
  ChatBody body = read_body(call, chat_form());
  Model& model = call.model(body.model);
  if (body.top_logprobs > 0 && !body.logprobs) fail_at({.name = "top_logprobs"}, "needs logprobs to be true");
  if (body.logprobs) body.settings.top_logprobs = std::max(1, body.top_logprobs);
  Job job{.settings = body.settings, .choices = body.choices, .dialect = Dialect::openai};
  const auto prepare = [&model, variables = std::move(body.variables), continue_last = body.continue_last,
                        client = call.request().client,
                        demands = openai_demands(body.structure)](std::vector<ChatMessage> messages) {
    return model.chat->prepare({.messages = std::move(messages),
                                .variables = variables,
                                .continue_last = continue_last,
                                .client = client},
                               demands);
  };
  if (body.settings.summarize) job.retelling = {body.messages, prepare};
  job.prompts.push_back(prepare(std::move(body.messages)));
  const ChatFrame frame{.id = "chatcmpl-" + call.request().id,
                        .model = body.model.empty() ? model.name() : body.model,
                        .logprobs = body.logprobs,
                        .top = body.top_logprobs,
                        .tokenizer = &model.engine->tokenizer()};
  std::unique_ptr<Answer> answer;
  if (body.stream) {
    answer = std::make_unique<ChatStream>(frame, body.stream_options.include_usage, body.progress);
  } else {
    answer = whole_answer([frame](const Outcome& outcome) { return chat_completion(frame, outcome); });
  }
  generate(call.service, model, call.exchange, std::move(job), std::move(answer));
}

}  // namespace medlar::server
