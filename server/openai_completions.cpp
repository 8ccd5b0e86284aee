// POST /v1/completions
#include <boost/json/object.hpp>

#include <fmt/format.h>

#include "server/infill.h"
#include "server/openai.h"
#include "server/prompt.h"
#include "server/routes.h"
#include "server/structure.h"

namespace medlar::server {

void completions(const Call& call);
boost::json::object completions_schema();

namespace {

namespace json = boost::json;

struct CompletionBody {
  std::string model;
  json::value prompt;
  bool stream = false, echo = false;
  json::object stream_options;
  int choices = 1;
  std::optional<int> logprobs;
  std::string suffix;
  Structure structure;
  Settings settings;
};

const Form<CompletionBody>& completion_form() {
  static const Form<CompletionBody> form =
      Form<CompletionBody>()
          .field("model", &CompletionBody::model, {.about = "the name of the model"})
          .field("prompt", &CompletionBody::prompt,
                 {.about = "a text, a list of texts, tokens, or a list of lists of tokens", .required = true})
          .field("stream", &CompletionBody::stream, {.about = "send the answer as it is written"})
          .field("stream_options", &CompletionBody::stream_options, {.about = "{\"include_usage\": true}"})
          .field("echo", &CompletionBody::echo, {.about = "begin the answer with the prompt"})
          .field("n", &CompletionBody::choices, {.about = "answers to each prompt", .min = 1, .max = 64})
          .field("logprobs", &CompletionBody::logprobs,
                 {.about = "report this many log probabilities in each place", .min = 0, .max = 20})
          .field("suffix", &CompletionBody::suffix,
                 {.about = "what follows the answer: it fills the gap, if the model has tokens for that"})
          .part(completion_structure_form(), &CompletionBody::structure)
          .part(settings_form(), &CompletionBody::settings);
  return form;
}

struct Prompt {
  std::vector<std::int32_t> tokens;
  std::string text;
  bool is_text = false;  // else it was given as tokens
};

Prompt token_prompt(const text::Tokenizer& tokenizer, const json::value& value, const Path& path) {
  Prompt prompt;
  prompt.tokens = JsonType<std::vector<std::int32_t>>::read(
      value, path, {.min = 0, .max = tokenizer.size() - 1, .max_items = 1 << 24});
  prompt.text = tokenizer.decode(prompt.tokens, {.special = true});
  return prompt;
}

Prompt one_prompt(const text::Tokenizer& tokenizer, const json::value& value, const Path& path) {
  if (value.is_array()) return token_prompt(tokenizer, value, path);
  const std::string text = JsonType<std::string>::read(value, path, {});
  return {tokenizer.encode(text, {.parse_special = true}), text, true};
}

// The four shapes that a prompt may have.
std::vector<Prompt> read_prompts(const text::Tokenizer& tokenizer, const json::value& value) {
  const Path path{.name = "prompt"};
  if (!value.is_array()) return {one_prompt(tokenizer, value, path)};
  const json::array& items = value.get_array();
  if (items.empty()) fail_at(path, "must not be empty");
  if (items[0].is_number()) return {token_prompt(tokenizer, value, path)};
  if (items.size() > 128) fail_at(path, "has more than 128 items");
  std::vector<Prompt> prompts;
  for (const json::value& item : items) prompts.push_back(one_prompt(tokenizer, item, path[prompts.size()]));
  return prompts;
}

// Text before the gap is encoded anew, as nothing begins with it; tokens are taken as they are.
std::vector<std::int32_t> gap_tokens(const Engine& engine, const Prompt& prompt, const CompletionBody& body) {
  return infill_tokens(engine, {.before = prompt.is_text ? plain_tokens(engine, prompt.text) : prompt.tokens,
                                .after = body.suffix});
}

struct CompletionFrame {
  std::string id, model;
  std::int64_t created = unix_time();
  std::optional<int> logprobs;
  std::vector<std::string> echoes;  // (prompts); empty: none
  int choices = 1;
  const text::Tokenizer* tokenizer = nullptr;

  json::object object(json::array list) const {
    return {{"id", id},
            {"object", "text_completion"},
            {"created", created},
            {"model", model},
            {"choices", std::move(list)}};
  }
  std::string echo_of(int choice) const {
    return echoes.empty() ? "" : echoes[static_cast<std::size_t>(choice / choices)];
  }
  // Four lists, as the older of OpenAI's protocols has them; offsets count from the start of these tokens.
  json::value logprobs_of(std::span<const TokenInfo> infos) const {
    if (!logprobs) return nullptr;
    json::array tokens, token_logprobs, top, offsets;
    std::size_t offset = 0;
    for (const TokenInfo& info : infos) {
      const std::string text = token_text(*tokenizer, info.token);
      json::object best;
      for (const TokenProbability& other : info.best)
        if (static_cast<int>(best.size()) < *logprobs)
          best[token_text(*tokenizer, other.token)] = other.logprob;
      tokens.push_back(json::value(text));
      token_logprobs.push_back(info.logprob);
      top.push_back(std::move(best));
      offsets.push_back(offset);
      offset += text.size();
    }
    return json::object{{"tokens", std::move(tokens)},
                        {"token_logprobs", std::move(token_logprobs)},
                        {"top_logprobs", std::move(top)},
                        {"text_offset", std::move(offsets)}};
  }
};

json::object choice_object(int index, std::string text) {
  return {{"index", index}, {"text", std::move(text)}, {"logprobs", nullptr}, {"finish_reason", nullptr}};
}

json::object completion(const CompletionFrame& frame, const Outcome& outcome) {
  json::array choices;
  for (const Generation& generation : outcome.generations) {
    const int index = static_cast<int>(choices.size());
    json::object choice = choice_object(index, frame.echo_of(index) + generation.text);
    choice["logprobs"] = frame.logprobs_of(generation.logprobs);
    choice["finish_reason"] = openai_finish(generation);
    choices.push_back(std::move(choice));
  }
  json::object answer = frame.object(std::move(choices));
  answer["usage"] = openai_usage(outcome.usage());
  answer["timings"] = timings_json(outcome.generations.front());
  answer["medlar"] = medlar_json(outcome);
  return answer;
}

class CompletionStream : public Answer {
 public:
  CompletionStream(CompletionFrame frame, bool usage) : frame_(std::move(frame)), usage_(usage) {}
  bool streams() const override { return true; }

  void begin(Exchange& exchange, const Outcome& outcome) override {
    exchange.begin(sse_head(outcome));
    if (frame_.echoes.empty()) return;
    for (int i = 0; i < static_cast<int>(outcome.generations.size()); ++i)
      exchange.send(sse(frame_.object({choice_object(i, frame_.echo_of(i))})));
  }
  void progress(Exchange& exchange, const PromptProgress&) override {
    exchange.send(": reading the prompt\n\n");
  }
  void left_out(Exchange& exchange, int choice, const json::object& what) override {
    json::object object = frame_.object({choice_object(choice, "")});
    object["medlar"] = what;
    exchange.send(sse(object));
  }
  void delta(Exchange& exchange, int choice, const Delta& delta) override {
    json::object object = choice_object(choice, delta.content());
    object["logprobs"] = frame_.logprobs_of(delta.logprobs);
    exchange.send(sse(frame_.object({std::move(object)})));
  }
  void finish(Exchange& exchange, int choice, const Generation& generation) override {
    if (!last_.empty()) exchange.send(sse(frame_.object({std::move(last_)})));
    last_ = choice_object(choice, "");
    last_["finish_reason"] = openai_finish(generation);
  }
  void end(Exchange& exchange, const Outcome& outcome) override {
    end_stream(exchange, outcome, frame_.object({std::move(last_)}),
               usage_ ? std::optional(frame_.object({})) : std::nullopt);
  }
  void fail(Exchange& exchange, const ApiError& error) override {
    exchange.send(sse(error_object(Dialect::openai, error)));
  }

 private:
  CompletionFrame frame_;
  bool usage_;
  json::object last_;  // held back: the last chunk also tells of cache and time
};

}  // namespace

json::object completions_schema() { return completion_form().schema(); }

void completions(const Call& call) {
  CompletionBody body = read_body(call, completion_form());
  Model& model = call.model(body.model);
  const Demands demands = completion_demands(body.structure);
  if (body.echo && body.logprobs) fail_at({.name = "logprobs"}, "those of an echoed prompt are not served");
  if (body.logprobs) body.settings.top_logprobs = std::max(1, *body.logprobs);
  CompletionFrame frame{.id = "cmpl-" + call.request().id,
                        .model = body.model.empty() ? model.name() : body.model,
                        .logprobs = body.logprobs,
                        .choices = body.choices,
                        .tokenizer = &model.engine->tokenizer()};
  Job job{.settings = body.settings, .choices = body.choices, .dialect = Dialect::openai};
  for (Prompt& prompt : read_prompts(*frame.tokenizer, body.prompt)) {
    if (!body.suffix.empty()) prompt.tokens = gap_tokens(*model.engine, prompt, body);
    job.prompts.push_back(model.chat->prepare(std::move(prompt.tokens), demands));
    if (body.echo) frame.echoes.push_back(std::move(prompt.text));
  }
  const json::value* usage = body.stream_options.if_contains("include_usage");
  std::unique_ptr<Answer> answer;
  if (body.stream) {
    answer = std::make_unique<CompletionStream>(frame, usage && usage->is_bool() && usage->get_bool());
  } else {
    answer = whole_answer([frame](const Outcome& outcome) { return completion(frame, outcome); });
  }
  generate(call.service, model, call.exchange, std::move(job), std::move(answer));
}

}  // namespace medlar::server
