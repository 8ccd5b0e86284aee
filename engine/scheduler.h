// Scheduler: many requests on one engine, a step of all of them at a time (continuous batching; Yu et al.,
// Orca, 2022), with prompts read in chunks between decode steps and prefixes shared.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/errand.h"
#include "engine/prefix_store.h"

namespace medlar {

enum class Priority : std::uint8_t { interactive, background };

// What happens to a timeline that does not fit the context. Nothing is ever left out without being told.
enum class Overflow : std::uint8_t {
  error,  // a prompt that is too long is an error; an answer ends with FinishReason::length
  shift,  // the first Request::keep tokens and the newest stay, what is between is left out
};

// Why a prompt was not found in the cache further than it was: the first token that differs from the longest
// timeline of the request's scope that begins alike.
struct CacheMiss {
  std::int64_t position = 0;  // of that token
  std::string cached, given;  // the text around it, there and here; the part that is alike comes first
};

// The prompt is being read: tokens done and to do, the cached ones not counted.
struct PromptProgress {
  std::int64_t done = 0, total = 0;
};
// It has been admitted: of `prompt_tokens`, `cached_tokens` need not be read.
struct Started {
  std::int64_t prompt_tokens = 0, cached_tokens = 0;
  std::optional<CacheMiss> miss;
  std::optional<DroppedTokens> dropped;  // of the prompt; prompt_tokens are what was kept
};
// More of an answer: whole characters, and nothing that may still turn into a stop string.
struct TextDelta {
  int choice = 0;
  std::string_view text;
  std::span<const TokenInfo> logprobs;  // of the tokens since the last one, where asked for
};
// The same of an answer that is taken apart (GenerateOptions::reply).
struct ReplyDelta {
  int choice = 0;
  std::vector<reply::Delta> parts;
  std::span<const TokenInfo> logprobs;
};
// With Overflow::shift: the context was full, and these are left out from here on.
struct Shifted {
  int choice = 0;
  DroppedTokens dropped;
};
struct Finished {
  int choice = 0;
  Generation generation;
};
// The request ends with it, whatever its choices said.
struct Failed {
  Error error;
};
using RequestEvent = std::variant<Started, PromptProgress, TextDelta, ReplyDelta, Shifted, Finished, Failed>;

struct Request {
  std::vector<std::int32_t> prompt;
  // Its callbacks and its `cancel` are not looked at: the scheduler has its own.
  GenerateOptions options;
  Overflow overflow = Overflow::error;
  std::int64_t keep = 0;  // first tokens that stay; at most half of the context
  int choices = 1;        // answers; with a seed, choice i has seed + i
  Priority priority = Priority::interactive;
  std::string client;  // among whom slots are shared fairly
  std::string scope;   // timelines are shared within it only: an API key, an adapter, a template
  // By when it must have been admitted; else it fails with Error(limit).
  std::optional<std::chrono::steady_clock::time_point> deadline;
  // On the scheduler's thread; must return soon, must not throw, and must not call the
  // scheduler. Last comes one Failed, or a
  // Finished of each choice.
  std::function<void(RequestEvent&&)> on_event;
};

struct SchedulerOptions {
  int queue = 256;  // requests that may wait
  // How much longer a step may become by reading prompts while others wait for their next token.
  double slowdown = 1.8;
  std::optional<PrefixStoreOptions> store;  // pages on disk
};

// How much of what it could do a scheduler does, so that a machine under pressure or in heat gets on.
struct Restraint {
  int active = 0;          // requests that are admitted at a time; 0: as many as there are slots
  int chunk = 0;           // tokens of prompts in a step; 0: EngineOptions::batch
  bool background = true;  // requests of that priority are admitted
};

struct SchedulerStatus {
  int active = 0, waiting = 0;                                      // requests
  std::int64_t cache_tokens = 0, cache_used = 0, cache_shared = 0;  // capacity, held, held by no request
  std::int64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;  // since the start
  std::int64_t steps = 0, preempted = 0;
  double busy_seconds = 0;  // in steps
};

// Owns a thread that steps the engine. Nobody else may run it meanwhile.
class Scheduler {
 public:
  // The engine must have been loaded with EngineOptions::sequences slots. Throws Error(limit) while a session
  // is open.
  explicit Scheduler(std::shared_ptr<Engine> engine, const SchedulerOptions& options = {});
  // Cancels what is left, and waits for it.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  using Id = std::uint64_t;
  // Any thread. Throws Error(usage) for a prompt that is empty or holds an unknown token, or options that
  // validate() refuses; Error(limit) where the prompt leaves no room in the context, naming both and the
  // context it needs, or where the queue is full.
  Id submit(Request request);
  // Any thread; from any state it ends within a step, with FinishReason::cancelled. An id that has ended is
  // fine.
  void cancel(Id id);
  // Any thread. Works on it between steps, until it says that nothing is left; one that is there already is
  // not added again. A scheduler that ends lets go of what is left.
  void run(const std::shared_ptr<Errand>& errand);
  // Any thread. Before its next step it forgets what no request uses (what is on disk stays there), and gives
  // that memory back to the system.
  void trim();
  // Any thread; from the next step on. Answers in progress go on.
  void restrain(const Restraint& restraint);
  // No new requests; returns when all are done or at the deadline, after which the rest is cancelled.
  void drain(std::chrono::steady_clock::time_point deadline);

  SchedulerStatus status() const;
  const Engine& engine() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace medlar
