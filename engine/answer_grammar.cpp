#include "engine/answer_grammar.h"

#include <algorithm>

#include "base/error.h"

namespace medlar {
namespace {

constexpr std::string_view kSpace = " \n\r\t";

std::string_view without_leading_space(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kSpace), text.size()));
}

}  // namespace

AnswerGrammar::AnswerGrammar(const GenerateOptions& options)
    : vocabulary_(options.grammar->vocabulary()), matcher_(options.grammar) {
  if (options.reply) {
    triggers_ = options.reply->triggers;
    at_start_ = options.reply->trigger_at_start;
  }
  for (const std::string& trigger : triggers_) longest_ = std::max(longest_, trigger.size());
  awake_ = triggers_.empty();
}

bool AnswerGrammar::allows(text::TokenId token) {
  if (awake_) return matcher_.allows(token);
  const std::optional<std::string> begun = triggered_by(vocabulary_.bytes(token));
  return !begun || grammar::Matcher(matcher_).accept_bytes(*begun);
}

void AnswerGrammar::accept(text::TokenId token) {
  const std::string_view bytes = vocabulary_.bytes(token);
  const std::optional<std::string> begun = awake_ ? std::nullopt : triggered_by(bytes);
  if (awake_ ? !matcher_.accept(token) : begun && !matcher_.accept_bytes(*begun))
    fail(ErrorKind::usage, "token {} is outside the grammar", token);
  awake_ = awake_ || begun;
  if (!awake_ && !reasoning_ && !late_) keep(bytes);
}

void AnswerGrammar::set_reasoning(bool on) {
  reasoning_ = on;
  if (!on) return;
  said_.clear();
  late_ = false;
}

// The trigger that these bytes complete, and what they say after it.
std::optional<std::string> AnswerGrammar::triggered_by(std::string_view bytes) const {
  if (reasoning_ || late_ || bytes.empty()) return std::nullopt;
  const std::string all = said_ + std::string(bytes);
  if (at_start_) {
    const std::string_view content = without_leading_space(all);
    const bool found = std::ranges::any_of(
        triggers_, [&](const std::string& trigger) { return content.starts_with(trigger); });
    return found ? std::optional(std::string(content)) : std::nullopt;
  }
  std::size_t first = std::string::npos;
  for (const std::string& trigger : triggers_) first = std::min(first, all.find(trigger));
  return first == std::string::npos ? std::nullopt : std::optional(all.substr(first));
}

// No more than a trigger can begin in.
void AnswerGrammar::keep(std::string_view bytes) {
  said_ += bytes;
  if (at_start_) {
    const std::string_view content = without_leading_space(said_);
    late_ = std::ranges::none_of(triggers_, [&](const std::string& t) { return t.starts_with(content); });
    if (late_ || content.empty()) said_.clear();
  } else if (said_.size() >= longest_) {
    said_.erase(0, said_.size() - longest_ + 1);
  }
}

}  // namespace medlar
