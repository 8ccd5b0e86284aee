// Matchers keep the text, so that the shared machine may forget what it knows at any time between calls.
#include "text/grammar/matcher.h"

#include <algorithm>

#include "base/error.h"

namespace medlar::grammar {

Constraint::Constraint(const Rules& rules, std::shared_ptr<const Vocabulary> vocabulary, CompileLimits limits,
                       MachineLimits machine_limits)
    : vocabulary_(std::move(vocabulary)),
      automaton_(Automaton::compile(rules, limits)),
      machine_(automaton_, machine_limits),
      masks_(machine_, automaton_, *vocabulary_),
      trim_at_(machine_limits.trim) {}

// Starts afresh when the machine has grown. The lock is held.
void Constraint::trim() {
  if (machine_.bytes_used() < trim_at_) return;
  machine_.clear();
  masks_.clear();
  ++generation_;
}

Matcher::Matcher(std::shared_ptr<Constraint> constraint) : constraint_(std::move(constraint)) {
  const std::lock_guard lock(constraint_->mutex_);
  generation_ = constraint_->generation_;
  config_ = constraint_->machine_.start();
}

// Brings the numbers up to date with the machine's. The lock is held.
void Matcher::renew() {
  constraint_->trim();
  if (generation_ == constraint_->generation_) return;
  generation_ = constraint_->generation_;
  config_ = constraint_->machine_.start();
  std::size_t at = 0;
  for (Step& step : steps_) {
    config_ = run(config_, std::string_view(text_).substr(at, step.text - at));
    at = step.text;
    step.config = config_;
  }
  config_ = run(config_, std::string_view(text_).substr(at));
}

Config Matcher::run(Config c, std::string_view bytes) const {
  for (const char byte : bytes) {
    if (c == Machine::kDead) break;
    c = constraint_->machine_.step(c, static_cast<std::uint8_t>(byte));
  }
  return c;
}

void Matcher::mask(std::span<std::uint64_t> bits) {
  const std::lock_guard lock(constraint_->mutex_);
  renew();
  if (bits.size() != constraint_->vocabulary().words())
    fail(ErrorKind::usage, "a token mask of {} words, but the vocabulary needs {}", bits.size(),
         constraint_->vocabulary().words());
  if (ended_) {
    std::ranges::fill(bits, 0);
    return;
  }
  std::ranges::copy(constraint_->masks_.mask(config_), bits.begin());
  if (!constraint_->machine_.complete(config_)) return;
  for (const TokenId end : constraint_->vocabulary().ends())
    bits[static_cast<std::size_t>(end) / 64] |= std::uint64_t{1} << (end % 64);
}

bool Matcher::allows(TokenId token) {
  if (!accept(token)) return false;
  rollback(1);
  return true;
}

bool Matcher::accept(TokenId token) {
  const Vocabulary& vocabulary = constraint_->vocabulary();
  if (token < 0 || token >= vocabulary.size()) return false;
  const std::string_view bytes = vocabulary.bytes(token);
  if (!bytes.empty() && accept_bytes(bytes)) return true;
  if (!vocabulary.is_end(token)) return false;
  if (ended_ || !complete()) return false;
  steps_.push_back({text_.size(), config_});
  ended_ = true;
  return true;
}

bool Matcher::accept_bytes(std::string_view bytes) {
  const std::lock_guard lock(constraint_->mutex_);
  renew();
  if (ended_) return false;
  const Config next = run(config_, bytes);
  if (next == Machine::kDead) return false;
  steps_.push_back({text_.size(), config_});
  text_ += bytes;
  config_ = next;
  return true;
}

void Matcher::rollback(std::size_t steps) {
  if (steps > steps_.size()) fail(ErrorKind::usage, "cannot take back {} of {} steps", steps, steps_.size());
  if (steps == 0) return;
  const Step to = steps_[steps_.size() - steps];
  steps_.resize(steps_.size() - steps);
  text_.resize(to.text);
  config_ = to.config;
  ended_ = false;
}

bool Matcher::complete() {
  const std::lock_guard lock(constraint_->mutex_);
  renew();
  return constraint_->machine_.complete(config_);
}

bool Matcher::finished() {
  const std::lock_guard lock(constraint_->mutex_);
  renew();
  if (ended_) return true;
  Machine& machine = constraint_->machine_;
  return machine.complete(config_) && machine.items(config_).size() == 1;
}

std::string Matcher::forced(std::size_t limit) {
  const std::lock_guard lock(constraint_->mutex_);
  renew();
  Machine& machine = constraint_->machine_;
  std::string bytes;
  for (Config c = config_; !ended_ && bytes.size() < limit && !machine.complete(c);) {
    int choices = 0;
    std::uint8_t only = 0;
    Config next = Machine::kDead;
    for (int byte = 0; byte < 256 && choices < 2; ++byte) {
      const Config n = machine.step(c, static_cast<std::uint8_t>(byte));
      if (n == Machine::kDead) continue;
      ++choices, only = static_cast<std::uint8_t>(byte), next = n;
    }
    if (choices != 1) break;
    bytes.push_back(static_cast<char>(only));
    c = next;
  }
  return bytes;
}

}  // namespace medlar::grammar
