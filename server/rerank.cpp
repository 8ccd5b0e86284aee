// Reranking: documents in the order of how well they answer a query, as Jina's API and llama-server have it.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <iterator>

#include <fmt/format.h>

#include "server/embedding_job.h"
#include "server/routes.h"
#include "server/settings.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// A text, or {"text": "..."}.
struct Document {
  std::string text;
};

}  // namespace

template <>
struct JsonType<Document> {
  static Document read(const json::value& v, const Path& path, const FieldSpec&) {
    if (!v.is_object()) return {JsonType<std::string>::read(v, path, {})};
    const json::value* text = v.get_object().if_contains("text");
    if (!text) fail_at(path / "text", "is required");
    return {JsonType<std::string>::read(*text, path / "text", {})};
  }
  static json::object schema(const FieldSpec&) {
    return {{"oneOf",
             {{{"type", "string"}},
              {{"type", "object"},
               {"properties", {{"text", {{"type", "string"}}}}},
               {"required", json::array{"text"}}}}}};
  }
};

namespace {

struct RerankBody {
  std::string model, query;
  std::vector<Document> documents, texts;
  std::optional<int> top;
  bool return_documents = false, return_text = false, truncate = false;
  std::optional<double> queue_timeout;
};
const Form<RerankBody>& rerank_form() {
  constexpr std::size_t kMostDocuments = 4096;
  static const Form<RerankBody> form =
      Form<RerankBody>()
          .field("model", &RerankBody::model, {.about = "the name of the model"})
          .field("query", &RerankBody::query, {.about = "what is looked for", .required = true})
          .field("documents", &RerankBody::documents,
                 {.about = "texts, or objects with a text", .max_items = kMostDocuments})
          .field("texts", &RerankBody::texts,
                 {.about = "as documents; the answer is then a list of index and score",
                  .max_items = kMostDocuments})
          .field("top_n", &RerankBody::top, {.about = "how many results; all if not given", .min = 0})
          .field("return_documents", &RerankBody::return_documents, {.about = "results hold their document"})
          .field("return_text", &RerankBody::return_text, {.about = "with texts: results hold their text"})
          .field("truncate", &RerankBody::truncate,
                 {.about = "true: pairs that do not fit lose the document's end, which the answer reports; "
                           "else they are an error"})
          .field("queue_timeout", &RerankBody::queue_timeout, queue_timeout_spec());
  return form;
}

// The prompt around a query and a document.
struct PairPrompt {
  const Model& model;
  std::string_view query;

  // By the model's own template, else the two with the tokens between them that its tokenizer wants.
  std::vector<std::int32_t> operator()(std::string_view document) const {
    const std::string_view prompt = model.embedder->rank_prompt();
    if (!prompt.empty()) return encode(filled(prompt, document), true);
    const text::Tokenizer& tokenizer = model.engine->tokenizer();
    const text::SpecialTokens& special = tokenizer.special();
    std::vector<std::int32_t> tokens;
    const auto add_token = [&](bool wanted, text::TokenId token) {
      if (wanted && token != text::kNoToken) tokens.push_back(token);
    };
    const auto add_text = [&](std::string_view text) {
      const auto more = encode(text, false);
      tokens.insert(tokens.end(), more.begin(), more.end());
      add_token(tokenizer.adds_eos(), special.eos);
    };
    add_token(tokenizer.adds_bos(), special.bos);
    add_text(query);
    add_token(tokenizer.adds_sep(), special.sep);
    add_text(document);
    return tokens;
  }

  // Of {query} and {document}, in one pass: neither text is looked into.
  std::string filled(std::string_view prompt, std::string_view document) const {
    std::string result;
    while (!prompt.empty()) {
      const std::size_t brace = std::min(prompt.find('{'), prompt.size());
      result += prompt.substr(0, brace);
      prompt.remove_prefix(brace);
      if (!take(prompt, "{query}", query, result) && !take(prompt, "{document}", document, result) &&
          !prompt.empty()) {
        result += '{';
        prompt.remove_prefix(1);
      }
    }
    return result;
  }

 private:
  static bool take(std::string_view& prompt, std::string_view name, std::string_view value,
                   std::string& result) {
    if (!prompt.starts_with(name)) return false;
    prompt.remove_prefix(name.size());
    result += value;
    return true;
  }
  std::vector<std::int32_t> encode(std::string_view text, bool parse_special) const {
    return model.engine->tokenizer().encode(text, {.add_special = false, .parse_special = parse_special});
  }
};

bool begins_character(std::string_view text, std::size_t i) {
  return i >= text.size() || (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
}

// The pair's tokens with as much of the document as fits, in whole characters: what follows it must stay.
std::vector<std::int32_t> fitted(const PairPrompt& prompt, std::string_view document, std::int64_t context) {
  std::vector<std::size_t> ends;  // of characters
  for (std::size_t i = 0; i <= document.size(); ++i)
    if (begins_character(document, i)) ends.push_back(i);
  const auto too_long = [&](std::size_t end) {
    return std::ssize(prompt(document.substr(0, end))) > context;
  };
  const auto first_too_long =
      std::ranges::partition_point(ends, [&](std::size_t end) { return !too_long(end); });
  return prompt(document.substr(0, first_too_long == ends.begin() ? 0 : *std::prev(first_too_long)));
}

EmbeddingInputs pairs(const Model& model, const RerankBody& body, const std::vector<Document>& documents,
                      std::string_view name) {
  const InputLimits limits{.context = model.embedder->context()};
  const PairPrompt prompt{model, body.query};
  EmbeddingInputs inputs;
  for (const Document& document : documents) {
    const Path path = Path{.name = name};
    const Path here = path[inputs.tokens.size()];
    std::vector<std::int32_t> tokens = prompt(document.text);
    if (body.truncate && std::ssize(tokens) > limits.context) {
      const std::int64_t whole = std::ssize(tokens);
      tokens = fitted(prompt, document.text, limits.context);
      inputs.truncated.push_back({inputs.tokens.size(), {std::ssize(tokens), whole}});
    }
    add_input(model, inputs, std::move(tokens), here, limits);
  }
  return inputs;
}

struct Ranked {
  std::size_t index;
  float score;
};

// The best first. A head with two classes says how likely the first is, "yes"; one with one says a number.
std::vector<Ranked> ranked(const std::vector<Embedding>& scores, std::optional<int> top) {
  std::vector<Ranked> result;
  for (const Embedding& score : scores) result.push_back({result.size(), score.values.at(0)});
  std::ranges::stable_sort(result, std::greater{}, &Ranked::score);
  if (top) result.resize(std::min(result.size(), static_cast<std::size_t>(*top)));
  return result;
}

json::value jina_answer(const RerankBody& body, const std::vector<Ranked>& order,
                        const EmbeddingInputs& inputs, std::int64_t tokens) {
  json::array results;
  for (const Ranked& item : order) {
    json::object result{{"index", item.index}, {"relevance_score", item.score}};
    if (body.return_documents) result["document"] = {{"text", body.documents[item.index].text}};
    results.push_back(std::move(result));
  }
  json::object answer{{"model", body.model},
                      {"object", "list"},
                      {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}},
                      {"results", std::move(results)}};
  for (auto& [key, value] : truncation_json(inputs)) answer[key] = value;
  return answer;
}

json::value plain_answer(const RerankBody& body, const std::vector<Ranked>& order) {
  json::array results;
  for (const Ranked& item : order) {
    json::object result{{"index", item.index}, {"score", item.score}};
    if (body.return_text) result["text"] = body.texts[item.index].text;
    results.push_back(std::move(result));
  }
  return results;
}

void rerank(const Call& call) {
  RerankBody body = read_body(call, rerank_form());
  Model& model = call.model(body.model);
  if (!model.embedder->ranks())
    throw ApiError(
        400, "this model cannot rank documents",
        {.param = "model",
         .code = "not_supported_error",
         .hint = "a reranker's file has the pooling type \"rank\" and a tensor cls.output.weight"});
  if (body.model.empty()) body.model = model.name();
  const bool plain = body.documents.empty() && !body.texts.empty();
  const std::vector<Document>& documents = plain ? body.texts : body.documents;
  if (documents.empty()) fail_at({.name = "documents"}, "must not be empty");
  EmbeddingJob job{pairs(model, body, documents, plain ? "texts" : "documents"), body.queue_timeout};
  const std::int64_t tokens = job.inputs.count();
  EmbeddingInputs told{.truncated = job.inputs.truncated};
  embed_all(call.service, model, call.exchange, std::move(job), Dialect::llama,
            [body = std::move(body), told = std::move(told), tokens, plain](const auto& scores) {
              const std::vector<Ranked> order = ranked(scores, body.top);
              return Response{.body = json::serialize(plain ? plain_answer(body, order)
                                                            : jina_answer(body, order, told, tokens)),
                              .fields = truncation_fields(told)};
            });
}

}  // namespace

std::span<const Route> rerank_routes() {
  const auto route = [](std::string_view path, std::string_view about) {
    return Route{.method = Method::post,
                 .path = path,
                 .dialect = Dialect::llama,
                 .handler = rerank,
                 .about = about,
                 .body = [] { return rerank_form().schema(); }};
  };
  static const std::vector<Route> routes{route("/rerank", "Order documents by how well they answer a query"),
                                         route("/reranking", "As /rerank"), route("/v1/rerank", "As /rerank"),
                                         route("/v1/reranking", "As /rerank")};
  return routes;
}

}  // namespace medlar::server
