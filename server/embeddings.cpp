// Embeddings as OpenAI, Ollama and llama-server ask for them.
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstring>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "server/embedding_job.h"
#include "server/keep_alive.h"
#include "server/ollama.h"
#include "server/routes.h"
#include "server/settings.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// What the bodies share. `dimensions` keeps the first values of each vector, for models that were trained so
// that these suffice (Kusupati et al., Matryoshka Representation Learning, 2022).
struct Common {
  std::string model;
  std::optional<int> dimensions;
  bool truncate = false;
  std::optional<double> queue_timeout;
};
const Form<Common>& common_form() {
  static const Form<Common> form =
      Form<Common>()
          .field("model", &Common::model, {.about = "the name of the model"})
          .field("dimensions", &Common::dimensions, {.about = "keep the first values only", .min = 1})
          .field("truncate", &Common::truncate,
                 {.about = "true: inputs that do not fit lose their end, which the answer reports; else "
                           "they are an error"})
          .field("queue_timeout", &Common::queue_timeout, queue_timeout_spec());
  return form;
}

// A vector for each input, or a refusal.
Model& model_of(const Call& call, const Common& body) {
  Model& model = call.model(body.model);
  if (model.embedder->ranks())
    throw ApiError(400, "this model ranks documents and has no embeddings", {.hint = "ask /v1/rerank"});
  if (body.dimensions && *body.dimensions > model.embedder->width())
    fail_at({.name = "dimensions"}, fmt::format("this model has {}", model.embedder->width()));
  return model;
}

Model& pooled_model_of(const Call& call, const Common& body) {
  Model& model = model_of(call, body);
  if (model.embedder->pooling() == Pooling::none)
    throw ApiError(400, "the model's embeddings are not pooled: there is one for each token",
                   {.hint = "POST /embedding gives them, and --pooling mean|cls|last makes them one"});
  return model;
}

InputLimits limits_of(const Model& model, const Common& body) {
  return {.context = model.embedder->context(), .truncate = body.truncate};
}

std::vector<float> vector_of(const Embedding& embedding, std::optional<int> dimensions, int norm) {
  std::vector<float> values = embedding.values;
  if (dimensions) values.resize(static_cast<std::size_t>(*dimensions));
  normalize(values, norm);
  return values;
}

// Of the values' bytes, the lowest first.
std::string base64(std::span<const float> values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &values[i], sizeof bits);
    for (std::size_t b = 0; b < 4; ++b) bytes[4 * i + b] = static_cast<char>(bits >> (8 * b) & 0xFF);
  }
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  text.resize(static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                                       reinterpret_cast<const unsigned char*>(bytes.data()),
                                                       static_cast<int>(bytes.size()))));
  return text;
}

// The members of an object without its braces, with a comma before each.
std::string more_members(const json::object& object) {
  if (object.empty()) return "";
  const std::string text = json::serialize(object);
  return fmt::format(",{}", std::string_view(text).substr(1, text.size() - 2));
}

// --- OpenAI

struct OpenAiBody {
  Common common;
  json::value input;
  bool binary = false;
};
const Form<OpenAiBody>& openai_form() {
  static const Form<OpenAiBody> form =
      Form<OpenAiBody>()
          .part(common_form(), &OpenAiBody::common)
          .field("input", &OpenAiBody::input,
                 {.about = "a text, a list of texts, tokens, or a list of lists of tokens", .required = true})
          .set<std::string>(
              "encoding_format",
              {.about = "how vectors are written; float if not given", .choices = {"float", "base64"}},
              [](OpenAiBody& body, std::string name) { body.binary = name == "base64"; });
  return form;
}

void openai_embeddings(const Call& call) {
  const OpenAiBody body = read_body(call, openai_form());
  Model& model = pooled_model_of(call, body.common);
  EmbeddingJob job{read_inputs(model, body.input, {.name = "input"}, limits_of(model, body.common)),
                   body.common.queue_timeout};
  const std::int64_t tokens = job.inputs.count();
  json::object rest{{"model", body.common.model.empty() ? model.name() : body.common.model},
                    {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
  for (auto& [key, value] : truncation_json(job.inputs)) rest[key] = value;
  EmbeddingAnswer answer{
      .before = R"({"object":"list","data":[)",
      .item =
          [dimensions = body.common.dimensions, binary = body.binary](std::size_t index, const Embedding& e) {
            const std::vector<float> values = vector_of(e, dimensions, kEuclidean);
            return fmt::format(R"({{"object":"embedding","index":{},"embedding":{}}})", index,
                               binary ? fmt::format("\"{}\"", base64(values)) : float_list(values));
          },
      .after = [rest] { return fmt::format("]{}}}", more_members(rest)); },
      .fields = truncation_fields(job.inputs)};
  embed(call.service, model, call.exchange, std::move(job), std::move(answer));
}

// --- Ollama

struct OllamaBody {
  Common common;
  json::value input, keep_alive, options;
  std::string prompt, name;  // of the older route
};

// num_ctx, the one option that an embedding knows.
struct OllamaOptions {
  std::optional<std::int64_t> context;
};
const Form<OllamaOptions>& ollama_options_form() {
  static const Form<OllamaOptions> form = Form<OllamaOptions>().field(
      "num_ctx", &OllamaOptions::context, {.about = "tokens that an input may have", .min = 1});
  return form;
}

Form<OllamaBody> ollama_form(bool older) {
  Form<OllamaBody> form;
  form.part(common_form(), &OllamaBody::common)
      .field("keep_alive", &OllamaBody::keep_alive, {.about = kKeepAliveAbout})
      .field("options", &OllamaBody::options, {.about = "num_ctx: tokens that an input may have"});
  if (older) {
    form.set<std::string>("prompt", {.about = "the text; empty: only load the model"},
                          [](OllamaBody& body, std::string text) { body.prompt = std::move(text); })
        .set<std::string>("name", {.about = "an older spelling of \"model\""},
                          [](OllamaBody& body, std::string name) { body.name = std::move(name); });
  } else {
    form.field("input", &OllamaBody::input, {.about = "a text, or a list of texts"});
  }
  return form;
}
const Form<OllamaBody>& ollama_embed_form() {
  static const Form<OllamaBody> form = ollama_form(false);
  return form;
}
const Form<OllamaBody>& ollama_embeddings_form() {
  static const Form<OllamaBody> form = ollama_form(true);
  return form;
}

InputLimits ollama_limits(const Model& model, const OllamaBody& body) {
  InputLimits limits = limits_of(model, body.common);
  if (body.options.is_null()) return limits;
  const auto context = ollama_options_form().read(body.options, {.name = "options"}).context;
  if (!context) return limits;
  if (*context > limits.context)
    fail_at({.name = "options.num_ctx"},
            fmt::format("{} is more than this server's context of {}", *context, limits.context));
  limits.context = *context;
  return limits;
}

bool asks_for_nothing(const json::value& input) {
  if (input.is_string()) return input.get_string().empty();
  return input.is_null() || (input.is_array() && input.get_array().empty());
}

void ollama_embed(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  const OllamaBody body = read_body(call, ollama_embed_form());
  Model& model = pooled_model_of(call, body.common);
  apply_keep_alive(call, body.keep_alive);
  json::object rest{{"model", body.common.model}};
  if (asks_for_nothing(body.input))
    return call.reply({{"model", body.common.model}, {"embeddings", json::array()}});
  EmbeddingJob job{read_inputs(model, body.input, {.name = "input"}, ollama_limits(model, body)),
                   body.common.queue_timeout};
  rest["load_duration"] = 0;
  rest["prompt_eval_count"] = job.inputs.count();
  for (auto& [key, value] : truncation_json(job.inputs)) rest[key] = value;
  EmbeddingAnswer answer{.dialect = Dialect::ollama,
                         .before = R"({"embeddings":[)",
                         .item =
                             [dimensions = body.common.dimensions](std::size_t, const Embedding& e) {
                               return float_list(vector_of(e, dimensions, kEuclidean));
                             },
                         .after =
                             [rest, start] {
                               json::object last = rest;
                               last["total_duration"] = std::chrono::duration_cast<std::chrono::nanoseconds>(
                                                            std::chrono::steady_clock::now() - start)
                                                            .count();
                               return fmt::format("]{}}}", more_members(last));
                             },
                         .fields = truncation_fields(job.inputs)};
  embed(call.service, model, call.exchange, std::move(job), std::move(answer));
}

// One vector, of whatever length it has.
void ollama_embeddings(const Call& call) {
  OllamaBody body = read_body(call, ollama_embeddings_form());
  if (body.common.model.empty()) body.common.model = body.name;
  Model& model = pooled_model_of(call, body.common);
  apply_keep_alive(call, body.keep_alive);
  if (body.prompt.empty()) return call.reply({{"embedding", json::array()}});
  EmbeddingJob job{
      read_inputs(model, json::value(body.prompt), {.name = "prompt"}, ollama_limits(model, body)),
      body.common.queue_timeout};
  EmbeddingAnswer answer{
      .dialect = Dialect::ollama,
      .before = R"({"embedding":)",
      .item = [dimensions = body.common.dimensions](
                  std::size_t, const Embedding& e) { return float_list(vector_of(e, dimensions, kAsItIs)); },
      .after = [rest = truncation_json(job.inputs)] { return fmt::format("{}}}", more_members(rest)); },
      .fields = truncation_fields(job.inputs)};
  embed(call.service, model, call.exchange, std::move(job), std::move(answer));
}

// --- llama-server

struct LlamaBody {
  Common common;
  json::value content, input;
  int norm = kEuclidean;
};
const Form<LlamaBody>& llama_form() {
  static const Form<LlamaBody> form =
      Form<LlamaBody>()
          .part(common_form(), &LlamaBody::common)
          .field("content", &LlamaBody::content,
                 {.about = "a text, a list of texts, tokens, or a list of lists of tokens"})
          .field("input", &LlamaBody::input, {.about = "as content"})
          .field("embd_normalize", &LlamaBody::norm,
                 {.about = "-1: as it is, 0: the largest value becomes 32760, 1: Manhattan, 2: Euclidean, P: "
                           "P-norm; vectors of tokens stay as they are",
                  .min = -1,
                  .max = 64});
  return form;
}

// A list of vectors for each input: one, or with no pooling one for each token.
void llama_embedding(const Call& call) {
  const LlamaBody body = read_body(call, llama_form());
  Model& model = model_of(call, body.common);
  const bool named_input = body.content.is_null();
  const Path path{.name = named_input ? "input" : "content"};
  if (named_input && body.input.is_null()) fail_at({.name = "content"}, "is required");
  EmbeddingJob job{
      read_inputs(model, named_input ? body.input : body.content, path, limits_of(model, body.common)),
      body.common.queue_timeout};
  const int norm = model.embedder->pooling() == Pooling::none ? kAsItIs : body.norm;
  EmbeddingAnswer answer{
      .dialect = Dialect::llama,
      .before = "[",
      .item =
          [norm, dimensions = body.common.dimensions](std::size_t index, const Embedding& e) {
            const auto width = static_cast<std::size_t>(e.width);
            std::string rows;
            for (std::size_t at = 0; at < e.values.size(); at += width) {
              const Embedding row{e.width, {e.values.data() + at, e.values.data() + at + width}};
              rows += fmt::format("{}{}", at > 0 ? "," : "", float_list(vector_of(row, dimensions, norm)));
            }
            return fmt::format(R"({{"index":{},"embedding":[{}]}})", index, rows);
          },
      .after = [] { return std::string("]"); },
      .fields = truncation_fields(job.inputs)};
  embed(call.service, model, call.exchange, std::move(job), std::move(answer));
}

}  // namespace

std::span<const Route> embedding_routes() {
  const auto route = [](std::string_view path, Dialect dialect, Handler handler, std::string_view about,
                        json::object (*body)()) {
    return Route{.method = Method::post,
                 .path = path,
                 .dialect = dialect,
                 .handler = handler,
                 .about = about,
                 .body = body};
  };
  const auto llama_schema = [] { return llama_form().schema(); };
  static const std::vector<Route> routes{
      route("/v1/embeddings", Dialect::openai, openai_embeddings, "Vectors of texts",
            [] { return openai_form().schema(); }),
      route("/api/embed", Dialect::ollama, ollama_embed, "Vectors of texts",
            [] { return ollama_embed_form().schema(); }),
      route("/api/embeddings", Dialect::ollama, ollama_embeddings, "The vector of a text",
            [] { return ollama_embeddings_form().schema(); }),
      route("/embedding", Dialect::llama, llama_embedding, "Vectors of texts", llama_schema),
      route("/embeddings", Dialect::llama, llama_embedding, "As /embedding", llama_schema),
  };
  return routes;
}

}  // namespace medlar::server
