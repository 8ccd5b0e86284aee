// Constrained decoding: which tokens keep a text within a grammar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/masks.h"

namespace medlar::grammar {

// A grammar compiled for a vocabulary, with what was learnt while running it. Shared by all its matchers,
// which may run in different threads: each call holds a lock.
class Constraint {
 public:
  // Throws Error(limit) when the grammar is too large, Error(usage) when it allows no text.
  Constraint(const Rules& rules, std::shared_ptr<const Vocabulary> vocabulary, CompileLimits limits = {},
             MachineLimits machine_limits = {});

  const Vocabulary& vocabulary() const { return *vocabulary_; }
  std::size_t states() const { return automaton_.size(); }

 private:
  friend class Matcher;

  void trim();

  std::shared_ptr<const Vocabulary> vocabulary_;
  Automaton automaton_;
  std::mutex mutex_;
  Machine machine_;
  Masks masks_;
  std::size_t trim_at_ = 0;       // bytes
  std::uint64_t generation_ = 0;  // of the numbers in machine_
};

// One text under a constraint. Copies are independent and cost a copy of the text so far.
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<Constraint> constraint);

  // Which tokens may come next: bit t % 64 of word t / 64; `bits` is Vocabulary::words() long. End tokens are
  // among them when the text may end here. All zero after an end token. Throws Error(limit) when the grammar
  // reads the text in too many ways, as all others do.
  void mask(std::span<std::uint64_t> bits);
  bool allows(TokenId token);

  // Adds a token to the text; false, with nothing changed, when it may not come next. An end token that the
  // grammar names is read as any other.
  bool accept(TokenId token);
  // Adds bytes to the text, as one step for rollback().
  bool accept_bytes(std::string_view bytes);
  // Takes back the last `steps` accepted ones. Throws Error(usage) when there are fewer.
  void rollback(std::size_t steps);

  bool complete();  // the text may end here
  bool finished();  // the text is complete and nothing but an end token may follow, or one did
  // The bytes that must come next, because nothing else may; at most `limit` of them. Empty where there is a
  // choice.
  std::string forced(std::size_t limit = 256);

  const std::string& text() const { return text_; }

 private:
  struct Step {
    std::size_t text = 0;  // bytes before it
    Config config = 0;     // before it
  };

  void renew();
  Config run(Config c, std::string_view bytes) const;

  std::shared_ptr<Constraint> constraint_;
  std::uint64_t generation_ = 0;
  Config config_ = 0;
  bool ended_ = false;  // by an end token
  std::string text_;
  std::vector<Step> steps_;
};

}  // namespace medlar::grammar
