// What one rendering may use up: steps, nested evaluations, bytes of live values, bytes of output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/error.h"

namespace medlar::jinja {

struct Limits {
  std::int64_t steps = 50'000'000;       // evaluated nodes, loop turns, items visited, 64-byte blocks of text
  int depth = 1000;                      // nested statements, expressions and macro calls
  int value_depth = 200;                 // lists in lists, iterators over iterators
  std::size_t value_bytes = 256u << 20;  // text and containers alive at one time
  std::uint64_t value_weight =
      10'000'000;  // items of one container, shared parts counted as often as they appear
  std::size_t output_bytes = 64u << 20;  // the rendered text
};

// One per rendering; every throw is Error(limit).
class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits), steps_left_(limits.steps) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  const Limits& limits() const { return limits_; }

  void spend(std::uint64_t steps = 1) {
    if (steps > static_cast<std::uint64_t>(steps_left_)) exhausted("steps");
    steps_left_ -= static_cast<std::int64_t>(steps);
  }
  void spend_bytes(std::size_t bytes) { spend(bytes / 64 + 1); }

  // How many more bytes of values may be made.
  std::size_t room() const { return limits_.value_bytes - live_; }
  void require(std::size_t bytes) const {
    if (bytes > room()) exhausted("memory");
  }
  void take(std::size_t bytes) {
    require(bytes);
    live_ += bytes;
  }
  void give_back(std::size_t bytes) noexcept { live_ -= bytes; }

  void enter() {
    if (++depth_ > limits_.depth) {
      --depth_;
      exhausted("nesting");
    }
  }
  void leave() noexcept { --depth_; }

  [[noreturn]] static void exhausted(const char* what) {
    throw Error(ErrorKind::limit, std::string("the template used up its ") + what,
                "the limits are options of the rendering");
  }

 private:
  Limits limits_;
  std::int64_t steps_left_;
  std::size_t live_ = 0;
  int depth_ = 0;
};

// Bytes held against a budget until destruction. A default one holds nothing.
class Charge {
 public:
  Charge() = default;
  Charge(Budget& budget, std::size_t bytes) : budget_(&budget), bytes_(bytes) { budget.take(bytes); }
  Charge(Charge&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (budget_ != nullptr) budget_->give_back(bytes_);
  }

 private:
  Budget* budget_ = nullptr;
  std::size_t bytes_ = 0;
};

// One level of nesting for the scope's duration.
class Nesting {
 public:
  explicit Nesting(Budget& budget) : budget_(budget) { budget_.enter(); }
  ~Nesting() { budget_.leave(); }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  Budget& budget_;
};

}  // namespace medlar::jinja
