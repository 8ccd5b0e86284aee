// Embeddings: the hidden states of texts after the final norm, pooled, from the engine that also answers.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/scheduler.h"

namespace medlar {

// How the hidden states of a text become one vector. Numbered as in the GGUF key ARCHITECTURE.pooling_type.
enum class Pooling : std::uint8_t {
  none = 0,  // they do not: one vector for each token
  mean = 1,
  cls = 2,   // the first token's
  last = 3,  // the last token's, which alone has seen the whole text where attention is causal
  rank = 4,  // the last token's, of an encoder the first's, through the file's classifier: a score for each
             // class
};
// Throws Error(usage) listing the names: none, mean, cls, last.
Pooling parse_pooling(std::string_view name);
std::string_view to_string(Pooling pooling);

// (rows, width): one row, or with Pooling::none one for each token. Not normalized.
struct Embedding {
  std::int64_t width = 0;
  std::vector<float> values;
};

struct EmbeddingRequest {
  std::vector<std::vector<std::int32_t>> inputs;
  std::string client;  // among whom turns are shared fairly
  // By when its first input must have been begun; else it fails with Error(limit).
  std::optional<std::chrono::steady_clock::time_point> deadline;
  // Once: the embeddings in the order of the inputs, or an error. On the scheduler's thread; must return
  // soon, must not throw, and must not call the embedder.
  std::function<void(std::vector<Embedding>&&)> on_done;
  std::function<void(const Error&)> on_failed;
};

// Reads many texts at once, in the gaps between a scheduler's steps, in pieces that hold nobody up. It has a
// program of its own over the same weights, and a cache of its own, which is given back when a text is done.
class Embedder : public Errand, public std::enable_shared_from_this<Embedder> {
 public:
  // `scheduler` must outlive the calls to embed() and cancel(). Nothing is lowered before the first of them.
  // Throws Error(bad_file) where the file's pooling or classifier makes no sense, and Error(unsupported)
  // naming a tensor of a classifier that is not known here.
  Embedder(Scheduler& scheduler, std::optional<Pooling> pooling = {});
  ~Embedder() override;

  Pooling pooling() const;       // what was given, else the file's, else `last`
  std::int64_t width() const;    // values of an embedding
  std::int64_t context() const;  // tokens that an input may have

  // The names of the classes, as the file has them; empty where the model does not rank.
  std::span<const std::string> labels() const;
  bool ranks() const;
  // The text to score a query and a document with, in which {query} and {document} stand; empty: none.
  std::string_view rank_prompt() const;

  using Id = std::uint64_t;
  // Any thread. Throws Error(usage) for an input that is empty or holds an unknown token, Error(limit) for
  // one that does not fit the context, naming both, or where the queue is full, and what lowering throws.
  Id embed(EmbeddingRequest request);
  // Any thread. A request that is cancelled ends without a word.
  void cancel(Id id);

  bool work(std::int64_t tokens) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace medlar
