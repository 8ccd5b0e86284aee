#include "server/embedding_job.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "server/form.h"
#include "server/prompt.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostInputs = 4096;
constexpr std::size_t kBytesAtOnce = 64 << 10;  // of an answer, between other work of the I/O thread

[[noreturn]] void fail_too_long(const Model& model, std::int64_t tokens, const Path& path,
                                std::int64_t context) {
  const std::int64_t largest = largest_context(*model.engine);
  std::string hint = "send less, or ask with \"truncate\": true to leave out the end";
  if (tokens <= largest) hint += fmt::format("; a context of {} would hold it", tokens);
  throw ApiError(400, fmt::format("{}: {} tokens do not fit the context of {}", path.text(), tokens, context),
                 {.param = path.text(),
                  .code = "context_length_exceeded",
                  .hint = hint,
                  .facts = {{"n_prompt_tokens", tokens}, {"n_ctx", context}, {"largest_context", largest}}});
}

// Leaves out what is before the end token that the tokenizer adds, where it adds one.
DroppedTokens cut(const Model& model, std::vector<std::int32_t>& tokens, std::int64_t context) {
  const text::Tokenizer& tokenizer = model.engine->tokenizer();
  const bool ends = tokenizer.adds_eos() && tokens.back() == tokenizer.special().eos && context > 1;
  const std::int64_t end = std::ssize(tokens) - (ends ? 1 : 0);
  const DroppedTokens dropped{context - (ends ? 1 : 0), end};
  tokens.erase(tokens.begin() + dropped.begin, tokens.begin() + dropped.end);
  return dropped;
}

std::vector<std::int32_t> tokens_of(const Model& model, const json::value& value, const Path& path) {
  const text::Tokenizer& tokenizer = model.engine->tokenizer();
  if (value.is_string())
    return tokenizer.encode(std::string_view(value.get_string()), {.parse_special = true});
  if (!value.is_array())
    fail_at(path, fmt::format("must be a string or a list of tokens, not {}", kind_name(value)));
  return JsonType<std::vector<std::int32_t>>::read(
      value, path, {.min = 0, .max = tokenizer.size() - 1, .max_items = 1 << 24});
}

// A request on its way. Its answer is written on the I/O thread, a piece at a time, as numbers in decimal
// take long and streams must not wait.
class Writing : public std::enable_shared_from_this<Writing> {
 public:
  Writing(std::shared_ptr<Exchange> exchange, EmbeddingAnswer answer)
      : exchange_(std::move(exchange)), answer_(std::move(answer)) {}

  void done(std::vector<Embedding> embeddings) {
    embeddings_ = std::move(embeddings);
    for (const Embedding& embedding : embeddings_) {
      if (!std::ranges::all_of(embedding.values, [](float x) { return std::isfinite(x); }))
        return failed({500, "the model's hidden states are not numbers", {.hint = "is its file damaged?"}});
    }
    body_ = answer_.before;
    go_on();
  }
  void failed(const ApiError& error) { exchange_->reply(error_response(answer_.dialect, error)); }

 private:
  void go_on() {
    const std::size_t enough = body_.size() + kBytesAtOnce;
    for (; next_ < embeddings_.size() && body_.size() < enough; ++next_) {
      if (next_ > 0) body_ += answer_.between;
      body_ += answer_.item(next_, embeddings_[next_]);
    }
    if (next_ < embeddings_.size()) return exchange_->post([self = shared_from_this()] { self->go_on(); });
    exchange_->reply({.body = std::move(body_) + answer_.after(), .fields = answer_.fields});
  }

  std::shared_ptr<Exchange> exchange_;
  EmbeddingAnswer answer_;
  std::vector<Embedding> embeddings_;
  std::size_t next_ = 0;
  std::string body_;
};

ApiError api_error(const Error& error) {
  // What could be wrong with the request was looked at before, so a limit is the queue's.
  if (error.kind() == ErrorKind::limit)
    return {503, error.what(), {.code = "queue_full", .hint = error.hint()}};
  return ApiError(error);
}

using OnDone = std::function<void(std::vector<Embedding>&&)>;
using OnFailed = std::function<void(const ApiError&)>;

void submit(Service& service, Model& model, const std::shared_ptr<Exchange>& exchange, EmbeddingJob job,
            OnDone on_done, OnFailed on_failed) {
  EmbeddingRequest request;
  const Usage usage{.prompt_tokens = job.inputs.count()};
  request.inputs = std::move(job.inputs.tokens);
  request.client = exchange->request().client;
  request.deadline = service.queue_deadline(job.queue_timeout);
  request.on_done = [&service, exchange, usage, on_done](std::vector<Embedding>&& embeddings) {
    exchange->post([&service, usage, on_done, embeddings = std::move(embeddings)]() mutable {
      service.metrics.generated(usage);
      on_done(std::move(embeddings));
    });
  };
  request.on_failed = [exchange, on_failed](const Error& error) {
    exchange->post([on_failed, error = api_error(error)] { on_failed(error); });
  };
  try {
    const Embedder::Id id = model.embedder->embed(std::move(request));
    exchange->on_gone([embedder = std::weak_ptr(model.embedder), id] {
      if (const auto there = embedder.lock()) there->cancel(id);
    });
  } catch (const ApiError&) {
    throw;
  } catch (const Error& error) {
    throw api_error(error);
  }
}

}  // namespace

std::int64_t EmbeddingInputs::count() const {
  std::int64_t total = 0;
  for (const auto& input : tokens) total += std::ssize(input);
  return total;
}

void add_input(const Model& model, EmbeddingInputs& inputs, std::vector<std::int32_t> tokens,
               const Path& path, const InputLimits& limits) {
  if (tokens.empty()) fail_at(path, "has no tokens");
  if (std::ssize(tokens) > limits.context) {
    if (!limits.truncate) fail_too_long(model, std::ssize(tokens), path, limits.context);
    inputs.truncated.push_back({inputs.tokens.size(), cut(model, tokens, limits.context)});
  }
  inputs.tokens.push_back(std::move(tokens));
}

EmbeddingInputs read_inputs(const Model& model, const json::value& value, const Path& path,
                            const InputLimits& limits) {
  EmbeddingInputs inputs;
  const auto add = [&](const json::value& item, const Path& here) {
    add_input(model, inputs, tokens_of(model, item, here), here, limits);
  };
  const bool one = !value.is_array() || (!value.get_array().empty() && value.get_array()[0].is_number());
  if (one) {
    add(value, path);
    return inputs;
  }
  const json::array& items = value.get_array();
  if (items.empty()) fail_at(path, "must not be empty");
  if (items.size() > kMostInputs) fail_at(path, fmt::format("has more than {} items", kMostInputs));
  for (const json::value& item : items) add(item, path[inputs.tokens.size()]);
  return inputs;
}

json::object truncation_json(const EmbeddingInputs& inputs) {
  json::array list;
  for (const TruncatedInput& cut : inputs.truncated)
    list.push_back({{"input", cut.input}, {"begin", cut.dropped.begin}, {"end", cut.dropped.end}});
  return list.empty() ? json::object() : json::object{{"medlar", {{"dropped", std::move(list)}}}};
}

std::vector<Header> truncation_fields(const EmbeddingInputs& inputs) {
  std::int64_t total = 0;
  for (const TruncatedInput& cut : inputs.truncated) total += cut.dropped.end - cut.dropped.begin;
  if (total == 0) return {};
  return {{"x-medlar-dropped-tokens", std::to_string(total)}};
}

void embed(Service& service, Model& model, const std::shared_ptr<Exchange>& exchange, EmbeddingJob job,
           EmbeddingAnswer answer) {
  const auto writing = std::make_shared<Writing>(exchange, std::move(answer));
  submit(
      service, model, exchange, std::move(job),
      [writing](std::vector<Embedding>&& embeddings) { writing->done(std::move(embeddings)); },
      [writing](const ApiError& error) { writing->failed(error); });
}

void embed_all(Service& service, Model& model, const std::shared_ptr<Exchange>& exchange, EmbeddingJob job,
               Dialect dialect, std::function<Response(const std::vector<Embedding>&)> write) {
  submit(
      service, model, exchange, std::move(job),
      [exchange, write](const std::vector<Embedding>& embeddings) { exchange->reply(write(embeddings)); },
      [exchange, dialect](const ApiError& error) { exchange->reply(error_response(dialect, error)); });
}

void normalize(std::span<float> vector, int norm) {
  double length = 0;
  for (const float x : vector) {
    const double size = std::abs(static_cast<double>(x));
    if (norm == kLargestIs32760) length = std::max(length, size / 32760);
    if (norm > 0) length += std::pow(size, norm);
  }
  if (norm > 0) length = std::pow(length, 1.0 / norm);
  if (norm == kAsItIs || length == 0) return;
  for (float& x : vector) x = static_cast<float>(x / length);
}

std::string float_list(std::span<const float> values) {
  std::string text = "[";
  for (const float value : values) {
    if (text.size() > 1) text += ',';
    fmt::format_to(std::back_inserter(text), "{}", value);
  }
  return text + "]";
}

}  // namespace medlar::server
