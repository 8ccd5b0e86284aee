// What the scheduler knows of a request and of each of its answers. Internal to engine/.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/answer.h"
#include "engine/scheduler.h"

namespace medlar {

struct Job;

// One answer. Its sequence in the cache has the first `length` tokens of its timeline; what is missing is
// run, and from the last token's logits the next is sampled. So one that reads its prompt, one that answers,
// and one that lost its pages are the same thing.
struct Choice {
  Job* job = nullptr;
  int index = 0;
  std::unique_ptr<Answer> answer;
  int sequence = -1;  // in the cache; -1: none now
  std::int64_t length = 0;
  bool begun = false;          // has a path in the cache, or had one
  bool read = false;           // the prompt has been read once
  bool ended = false;          // the listener has been told
  std::int64_t stored = 0;     // pages of the timeline that the store was given
  PrefixStore::Name name{};    // of the last of them
  std::size_t told_probs = 0;  // of the answer's logprobs
  std::uint64_t admitted = 0;  // a number that rises

  std::span<const std::int32_t> missing() const {
    return answer->timeline().subspan(static_cast<std::size_t>(length));
  }
  bool answering() const { return read && missing().size() == 1; }
};

struct Job {
  Scheduler::Id id = 0;
  Request request;
  std::chrono::steady_clock::time_point submitted = std::chrono::steady_clock::now();
  std::vector<Choice> choices;  // the first reads the prompt for all
  std::atomic<bool> cancelled{false};
  std::atomic<bool> started{false};
  std::optional<DroppedTokens> dropped;  // of the prompt
  std::int64_t cached = 0;
  // Pages of the prompt from page `first_page` on, from the store: asked for, and then there.
  enum class Fetch : std::uint8_t { none, asked, done } fetch = Fetch::none;
  std::int64_t first_page = 0;
  std::atomic<bool> fetched{false};
  std::vector<PrefixStore::Page> pages;

  void emit(RequestEvent&& event) const {
    if (request.on_event) request.on_event(std::move(event));
  }
  bool background() const { return request.priority == Priority::background; }
};

}  // namespace medlar
