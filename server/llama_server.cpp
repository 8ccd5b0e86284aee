// llama-server's own routes: health, properties, slots, metrics, and text in and out.
#include <fmt/format.h>

#include "server/generation.h"
#include "server/infill.h"
#include "server/openai.h"
#include "server/prompt.h"
#include "server/routes.h"
#include "server/structure.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

void health(const Call& call) {
  call.service.require_started();
  call.reply({{"status", "ok"}});
}

void props(const Call& call) {
  const Model& model = call.model();
  const Engine& engine = *model.engine;
  const text::Tokenizer& tokenizer = engine.tokenizer();
  const auto name_of = [&](text::TokenId token) {
    return token == text::kNoToken ? std::string() : token_text(tokenizer, token);
  };
  json::object defaults;
  for (const auto& entry : settings_form().entries())
    if (const json::value* value = entry.schema.if_contains("default")) defaults[entry.name] = *value;
  call.reply({{"default_generation_settings", {{"n_ctx", engine.context()}, {"params", std::move(defaults)}}},
              {"total_slots", model.parallel},
              {"model_alias", model.name()},
              {"model_path", model.path.string()},
              {"chat_template", engine.description().chat_template},
              {"bos_token", name_of(tokenizer.special().bos)},
              {"eos_token", name_of(tokenizer.special().eos)},
              {"modalities", {{"vision", false}, {"audio", false}}},
              {"build_info", "medlar"}});
}

// Slots are the scheduler's own business: those in use come first.
void slots(const Call& call) {
  const Model& model = call.model();
  const SchedulerStatus status = model.scheduler->status();
  json::array list;
  for (int i = 0; i < model.parallel; ++i)
    list.push_back({{"id", i}, {"n_ctx", model.engine->context()}, {"is_processing", i < status.active}});
  call.reply(list);
}

void metrics(const Call& call) {
  std::vector<SchedulerStatus> models;
  for (const Shelf::Lease& model : call.service.shelf.all()) models.push_back(model->scheduler->status());
  call.exchange->reply({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                        .body = call.service.metrics.text(models, call.service.ledger->snapshot(),
                                                          call.service.device_ledgers->snapshots())});
}

struct CompletionBody {
  json::value prompt;
  bool stream = false;
  int probabilities = 0;
  Structure structure;
  Settings settings;
};
// What does not depend on what the prompt is made of.
const Form<CompletionBody>& answer_form() {
  static const Form<CompletionBody> form =
      Form<CompletionBody>()
          .field("stream", &CompletionBody::stream, {.about = "send the answer as it is written"})
          .field("n_probs", &CompletionBody::probabilities,
                 {.about = "log probabilities reported in each place", .min = 0, .max = 100})
          .part(completion_structure_form(), &CompletionBody::structure)
          .part(settings_form(), &CompletionBody::settings);
  return form;
}
const Form<CompletionBody>& completion_form() {
  static const Form<CompletionBody> form = [] {
    Form<CompletionBody> own;
    own.field(
        "prompt", &CompletionBody::prompt,
        {.about = "a text, or a list of texts and tokens that stand one after the other", .required = true});
    return own.all_of(answer_form());
  }();
  return form;
}

// Texts and tokens in a row make one prompt; special tokens may stand in the text.
std::vector<std::int32_t> read_prompt(const text::Tokenizer& tokenizer, const json::value& value) {
  const Path path{.name = "prompt"};
  if (value.is_string())
    return tokenizer.encode(std::string_view(value.get_string()), {.parse_special = true});
  if (!value.is_array()) fail_at(path, fmt::format("must be a string or a list, not {}", kind_name(value)));
  std::vector<std::int32_t> tokens;
  std::size_t i = 0;
  for (const json::value& item : value.get_array()) {
    const Path here = path[i++];
    if (item.is_string()) {
      const auto more = tokenizer.encode(std::string_view(item.get_string()),
                                         {.add_special = tokens.empty(), .parse_special = true});
      tokens.insert(tokens.end(), more.begin(), more.end());
    } else {
      tokens.push_back(JsonType<std::int32_t>::read(item, here, {.min = 0, .max = tokenizer.size() - 1}));
    }
  }
  return tokens;
}

struct CompletionFrame {
  const Model* model = nullptr;
  std::vector<std::string> stops;
  int probabilities = 0;

  json::object part(std::string_view text, std::span<const TokenInfo> infos, bool stop) const {
    json::object object{{"index", 0}, {"content", text}, {"stop", stop}, {"id_slot", 0}};
    if (probabilities > 0)
      object["completion_probabilities"] = chat_logprobs(model->engine->tokenizer(), infos, probabilities);
    return object;
  }

  json::object end(std::string_view text, std::span<const TokenInfo> infos, const Outcome& outcome) const {
    const Generation& generation = outcome.generations.front();
    const std::string stop = stop_string(model->engine->tokenizer(), generation, stops);
    json::object object = part(text, infos, true);
    object["model"] = model->name();
    object["tokens_predicted"] = generation.usage.completion_tokens;
    object["tokens_evaluated"] = outcome.usage().prompt_tokens;
    object["tokens_cached"] = outcome.usage().cached_tokens;
    object["truncated"] = false;
    object["stop_type"] = generation.finish == FinishReason::length ? "limit" : stop.empty() ? "eos" : "word";
    object["stopping_word"] = stop;
    object["timings"] = timings_json(generation);
    object["medlar"] = medlar_json(outcome);
    return object;
  }
};

class CompletionStream : public Answer {
 public:
  explicit CompletionStream(CompletionFrame frame) : frame_(std::move(frame)) {}
  bool streams() const override { return true; }
  void begin(Exchange& exchange, const Outcome& outcome) override { exchange.begin(sse_head(outcome)); }
  void progress(Exchange& exchange, const PromptProgress&) override {
    exchange.send(": reading the prompt\n\n");
  }
  void left_out(Exchange& exchange, int, const json::object& what) override {
    json::object object = frame_.part("", {}, false);
    object["medlar"] = what;
    exchange.send(sse(object));
  }
  void delta(Exchange& exchange, int, const Delta& delta) override {
    exchange.send(sse(frame_.part(delta.content(), delta.logprobs, false)));
  }
  void end(Exchange& exchange, const Outcome& outcome) override {
    exchange.send(sse(frame_.end("", {}, outcome)));
    exchange.end();
  }
  void fail(Exchange& exchange, const ApiError& error) override {
    exchange.send(sse(error_object(Dialect::llama, error)));
  }

 private:
  CompletionFrame frame_;
};

void complete(const Call& call, Model& model, CompletionBody body, std::vector<std::int32_t> prompt) {
  body.settings.top_logprobs = body.probabilities;
  Job job{.settings = body.settings, .dialect = Dialect::llama};
  job.prompts.push_back(model.chat->prepare(std::move(prompt), completion_demands(body.structure)));
  const CompletionFrame frame{
      .model = &model, .stops = body.settings.stop, .probabilities = body.probabilities};
  std::unique_ptr<Answer> answer;
  if (body.stream) {
    answer = std::make_unique<CompletionStream>(frame);
  } else {
    answer = whole_answer([frame](const Outcome& outcome) {
      const Generation& generation = outcome.generations.front();
      return frame.end(generation.text, generation.logprobs, outcome);
    });
  }
  generate(call.service, model, call.exchange, std::move(job), std::move(answer));
}

void completion(const Call& call) {
  CompletionBody body = read_body(call, completion_form());
  Model& model = call.model();
  std::vector<std::int32_t> prompt = read_prompt(model.engine->tokenizer(), body.prompt);
  complete(call, model, std::move(body), std::move(prompt));
}

struct InfillBody {
  CompletionBody completion;
  std::string before, after, begun;
  std::vector<ExtraText> extra;
};
const Form<InfillBody>& infill_form() {
  static const Form<InfillBody> form =
      Form<InfillBody>()
          .field("input_prefix", &InfillBody::before, {.about = "the text before the gap", .required = true})
          .field("input_suffix", &InfillBody::after, {.about = "the text behind it", .required = true})
          .field("input_extra", &InfillBody::extra, {.about = "parts of other files, that help"})
          .field("prompt", &InfillBody::begun, {.about = "what was written into the gap already"})
          .part(answer_form(), &InfillBody::completion);
  return form;
}

void infill(const Call& call) {
  InfillBody body = read_body(call, infill_form());
  Model& model = call.model();
  std::vector<std::int32_t> prompt =
      infill_tokens(*model.engine, {.before = plain_tokens(*model.engine, body.before + body.begun),
                                    .after = body.after,
                                    .extra = std::move(body.extra)});
  complete(call, model, std::move(body.completion), std::move(prompt));
}

struct TokenizeBody {
  std::string content;
  bool add_special = false, parse_special = true, with_pieces = false;
};
const Form<TokenizeBody>& tokenize_form() {
  static const Form<TokenizeBody> form =
      Form<TokenizeBody>()
          .field("content", &TokenizeBody::content, {.about = "the text", .required = true})
          .field("add_special", &TokenizeBody::add_special, {.about = "begin and end tokens as well"})
          .field("parse_special", &TokenizeBody::parse_special,
                 {.about = "names of special tokens become those"})
          .field("with_pieces", &TokenizeBody::with_pieces, {.about = "the text of each token as well"});
  return form;
}

void tokenize(const Call& call) {
  const text::Tokenizer& tokenizer = call.model().engine->tokenizer();
  const TokenizeBody body = read_body(call, tokenize_form());
  json::array tokens;
  for (const text::TokenId token : tokenizer.encode(
           body.content, {.add_special = body.add_special, .parse_special = body.parse_special})) {
    if (body.with_pieces) {
      tokens.push_back({{"id", token}, {"piece", token_text(tokenizer, token)}});
    } else {
      tokens.push_back(token);
    }
  }
  call.reply({{"tokens", std::move(tokens)}});
}

struct DetokenizeBody {
  std::vector<std::int32_t> tokens;
};
const Form<DetokenizeBody>& detokenize_form() {
  static const Form<DetokenizeBody> form = Form<DetokenizeBody>().field(
      "tokens", &DetokenizeBody::tokens, {.about = "token ids", .min = 0, .max_items = 1 << 24});
  return form;
}

void detokenize(const Call& call) {
  const text::Tokenizer& tokenizer = call.model().engine->tokenizer();
  const DetokenizeBody body = read_body(call, detokenize_form());
  call.reply({{"content", valid_utf8(tokenizer.decode(body.tokens, {.special = true}))}});
}

struct TemplateBody {
  std::vector<ChatMessage> messages;
  json::object variables;
  Structure structure;
};
const Form<TemplateBody>& template_form() {
  static const Form<TemplateBody> form =
      Form<TemplateBody>()
          .field("messages", &TemplateBody::messages,
                 {.about = "the conversation", .max_items = 1 << 16, .required = true})
          .field("chat_template_kwargs", &TemplateBody::variables, {.about = "variables for the template"})
          .part(openai_structure_form(), &TemplateBody::structure);
  return form;
}

void apply_template(const Call& call) {
  const Model& model = call.model();
  TemplateBody body = read_body(call, template_form());
  const Conversation conversation{.messages = std::move(body.messages),
                                  .variables = std::move(body.variables)};
  call.reply({{"prompt", model.chat->render(conversation, openai_demands(body.structure).tools)}});
}

Route route(Method method, std::string_view path, Handler handler, std::string_view about) {
  return {.method = method, .path = path, .dialect = Dialect::llama, .handler = handler, .about = about};
}

template <auto kForm>
json::object schema() {
  return kForm().schema();
}

}  // namespace

std::span<const Route> llama_routes() {
  static const std::vector<Route> routes = [] {
    std::vector<Route> list{
        route(Method::get, "/health", health,
              "200 when requests are served, 503 while a model is being loaded"),
        route(Method::get, "/props", props, "The model and the defaults"),
        route(Method::get, "/slots", slots, "The places for requests that are answered together"),
        route(Method::get, "/metrics", metrics, "For Prometheus"),
        route(Method::post, "/completion", completion, "Continue a text"),
        route(Method::post, "/tokenize", tokenize, "Tokens of a text"),
        route(Method::post, "/detokenize", detokenize, "Text of tokens"),
        route(Method::post, "/apply-template", apply_template, "The prompt that a conversation makes"),
        route(Method::post, "/infill", infill, "Write what is missing between two texts"),
    };
    list[0].entry = Entry::open;
    list[3].content_type = "text/plain";
    list[4].body = schema<completion_form>;
    list[5].body = schema<tokenize_form>;
    list[6].body = schema<detokenize_form>;
    list[7].body = schema<template_form>;
    list[8].body = schema<infill_form>;
    return list;
  }();
  return routes;
}

}  // namespace medlar::server
