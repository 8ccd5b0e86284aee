// Text is written as it comes where the schema allows nothing else, other values when they are complete.
#include "text/reply/parameters_reader.h"

#include "text/reply/json_text.h"

namespace medlar::reply {

ParametersReader::ParametersReader(std::span<const Step> parameter, std::string_view next, const Tool* tool,
                                   const Limits& limits)
    : steps_(parameter), first_(first_word(parameter[0].text)), next_(next), tool_(tool), limits_(&limits) {}

std::size_t ParametersReader::feed(std::string_view text, std::string& arguments) {
  std::size_t i = 0;
  while (i < text.size() && state_ == State::reading) {
    if (take(text[i], arguments)) ++i;
  }
  return i;
}

bool ParametersReader::take(char c, std::string& arguments) {
  switch (at_) {
    case At::choice:
      return take_choice(c, arguments);
    case At::literal: {
      const Literal::Taken taken = literal_.take(c);
      if (taken == Literal::Taken::mismatch) fail();
      if (literal_.ended()) enter(step_ + 1, arguments);
      return taken == Literal::Taken::yes;
    }
    case At::key:
    case At::text:
      if (take_until_word(c)) {
        if (matched_ == word_.size()) enter(step_ + 1, arguments);
        return true;
      }
      return false;
    case At::value:
      return take_value(c, arguments);
  }
  return false;
}

// Another parameter, or what follows the last.
bool ParametersReader::take_choice(char c, std::string& arguments) {
  if (same_ == 0 && is_space(c)) return true;
  const bool parameter = same_ < first_.size() && c == first_[same_];
  const bool next = same_ < next_.size() && c == next_[same_];
  if (!parameter && !next) {
    fail();
    return false;
  }
  if (parameter && next) {
    ++same_;
    return true;
  }
  begun_ = true;
  if (next) {
    arguments += any_ ? "}" : "{}";
    state_ = State::done;
  } else {
    begin_parameter(arguments);
  }
  return false;
}

void ParametersReader::begin_parameter(std::string& arguments) {
  arguments += any_ ? ", " : "{";
  any_ = true;
  json_ = false;
  enter(0, arguments);
  for (const char seen : first_.substr(0, same_)) literal_.take(seen);
  same_ = 0;
}

void ParametersReader::enter(std::size_t step, std::string& arguments) {
  const Hole before = step == 0 ? Hole::none : steps_[step - 1].hole;
  if (before == Hole::key) {
    const std::string key(trim(buffer_));
    types_ = parameter_types(tool_, key);
    arguments += quoted(key) + ": ";
  } else if (before == Hole::text) {
    json_ = buffer_ == "false";
    if (!json_) types_ = {Types::text};
  }
  step_ = step;
  if (step == steps_.size()) {
    at_ = At::choice;
    return;
  }
  const Step& now = steps_[step];
  buffer_.clear();
  matched_ = 0;
  word_ = first_word(now.text);
  if (now.hole == Hole::none) {
    at_ = At::literal;
    // The hole before has read the first word of it.
    literal_ = Literal(now.text);
    if (before != Hole::none) {
      for (const char seen : word_) literal_.take(seen);
      if (literal_.ended()) enter(step + 1, arguments);
    }
  } else if (now.hole == Hole::value) {
    at_ = At::value;
    padded_ = now.text.starts_with('\n');
    at_front_ = true;
    held_break_ = false;
    streaming_ = types_.bits == Types::text && !json_;
    if (streaming_) arguments += '"';
  } else {
    at_ = now.hole == Hole::key ? At::key : At::text;
  }
}

// Collects a key or a flag. Whether the byte was taken.
bool ParametersReader::take_until_word(char c) {
  if (c == word_[matched_]) {
    ++matched_;
    return true;
  }
  if (matched_ > 0) {
    buffer_ += word_.substr(0, matched_);
    matched_ = 0;
    return false;
  }
  buffer_ += c;
  if (buffer_.size() > limits_->name_bytes) fail();
  return true;
}

bool ParametersReader::take_value(char c, std::string& arguments) {
  if (c == word_[matched_]) {
    at_front_ = false;
    if (++matched_ == word_.size()) end_value(arguments);
    return true;
  }
  if (matched_ > 0) {
    release_break(arguments);
    append(word_.substr(0, matched_), arguments);
    matched_ = 0;
    return false;
  }
  if (c == '\n' && padded_) {
    if (!at_front_) {
      release_break(arguments);
      held_break_ = true;
    }
    at_front_ = false;
    return true;
  }
  at_front_ = false;
  release_break(arguments);
  append({&c, 1}, arguments);
  return true;
}

void ParametersReader::release_break(std::string& arguments) {
  if (held_break_) append("\n", arguments);
  held_break_ = false;
}

void ParametersReader::append(std::string_view text, std::string& arguments) {
  if (streaming_) {
    append_escaped(arguments, text);
  } else {
    buffer_ += text;
  }
}

void ParametersReader::end_value(std::string& arguments) {
  if (streaming_) {
    arguments += '"';
  } else if (json_ && is_json(buffer_, limits_->depth - 1)) {
    arguments += trim(buffer_);
  } else {
    arguments += value_json(buffer_, types_, limits_->depth - 1);
  }
  enter(step_ + 1, arguments);
}

}  // namespace medlar::reply
