// Texts to embed, from a client's JSON to the last byte of the answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/embedding.h"
#include "server/api_error.h"
#include "server/http.h"
#include "server/json_body.h"
#include "server/service.h"

namespace medlar::server {

// What was left out of an input that did not fit, as [begin, end) of its tokens.
struct TruncatedInput {
  std::size_t input = 0;
  DroppedTokens dropped;
};

struct EmbeddingInputs {
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<TruncatedInput> truncated;

  std::int64_t count() const;  // of tokens
};

struct InputLimits {
  std::int64_t context = 0;  // tokens of one input
  bool truncate = false;     // longer ones lose their end, which is reported; else they are an error
};

// A text, tokens, a list of texts, or a list of lists of tokens. Throws ApiError(400) naming the item that is
// something else or, with the numbers, the one that does not fit.
EmbeddingInputs read_inputs(const Model& model, const boost::json::value& value, const Path& path,
                            const InputLimits& limits);
// Adds one input. Throws as read_inputs().
void add_input(const Model& model, EmbeddingInputs& inputs, std::vector<std::int32_t> tokens,
               const Path& path, const InputLimits& limits);

// What an answer says of inputs that were cut: a member "medlar" and a header; nothing where there are none.
boost::json::object truncation_json(const EmbeddingInputs& inputs);
std::vector<Header> truncation_fields(const EmbeddingInputs& inputs);

// How a protocol writes an answer: what stands before the first item, each item, what stands behind the last.
struct EmbeddingAnswer {
  Dialect dialect = Dialect::openai;
  std::string before, between = ",";
  std::function<std::string(std::size_t index, const Embedding& embedding)> item;
  std::function<std::string()> after;
  std::vector<Header> fields;
};

struct EmbeddingJob {
  EmbeddingInputs inputs;
  std::optional<double> queue_timeout;  // seconds; none: the server's own limit
};

// The answer comes when all is read; a client that leaves cancels it. Throws ApiError for what the embedder
// refuses.
void embed(Service& service, Model& model, const std::shared_ptr<Exchange>& exchange, EmbeddingJob job,
           EmbeddingAnswer answer);
// As embed(), with all embeddings at once in place of items; for small ones.
void embed_all(Service& service, Model& model, const std::shared_ptr<Exchange>& exchange, EmbeddingJob job,
               Dialect dialect, std::function<Response(const std::vector<Embedding>&)> write);

// How long vectors are made. Numbered as llama-server does, where P > 2 is the P-norm.
inline constexpr int kAsItIs = -1, kLargestIs32760 = 0, kManhattan = 1, kEuclidean = 2;
void normalize(std::span<float> vector, int norm);

// "[0.25,-1]"
std::string float_list(std::span<const float> values);

}  // namespace medlar::server
