// Walks the steps of a layout: fixed text, the name, and one reader for the arguments.
#include "text/reply/call_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "text/reply/json_text.h"

namespace medlar::reply {
namespace {

constexpr std::size_t kMaxSkipped = 128;  // bytes of $any
constexpr std::size_t kMaxDigits = 9;

// What a fixed text has before the first byte that no name has: `.call` of `.call(`.
std::string_view name_suffix(std::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_name);
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

// The tool that runs code, as this request calls it.
std::string code_tool(std::span<const Tool> tools) {
  for (const char* name : {"code_interpreter", "python", "ipython"}) {
    if (find_tool(tools, name) != nullptr) return name;
  }
  return "python";
}

}  // namespace

Program::Program(const CallLayout& source)
    : layout(&source), call(steps(source.call)), parameter(steps(source.parameter)) {
  const std::string_view text = !source.open.empty()         ? source.open
                                : call[0].hole == Hole::none ? call[0].text
                                                             : "{";
  if (source.at_start) {
    start = text[0];
  } else {
    marker = reply::marker(text);
  }
}

CallReader::CallReader(const Program& program, std::span<const Tool> tools, const Limits& limits)
    : program_(&program), tools_(tools), limits_(&limits) {
  enter(0);
}

std::size_t CallReader::feed(std::string_view text, std::string& arguments) {
  std::size_t i = 0;
  while (i < text.size() && (state_ == State::reading || state_ == State::complete)) {
    const Hole hole = program_->call[step_].hole;
    const bool by_bytes =
        hole == Hole::none || hole == Hole::name || hole == Hole::index || hole == Hole::any;
    if (!by_bytes) {
      i += feed_arguments(text.substr(i), arguments);
    } else if (take(text[i])) {
      ++i;
    }
  }
  return i;
}

CallReader::State CallReader::finish(std::string& arguments) {
  if (auto* code = std::get_if<std::monostate>(&arguments_);
      code != nullptr && state_ == State::reading && program_->call[step_].hole == Hole::code && begun_) {
    arguments += "\"}";
    state_ = State::complete;
  }
  if (state_ == State::complete) state_ = State::done;
  if (state_ == State::reading) fail();
  return state_;
}

std::size_t CallReader::overrun() const {
  const bool in_text = step_ < program_->call.size() && program_->call[step_].hole == Hole::none;
  return in_text ? literal_.word().size() : 0;
}

bool CallReader::take(char c) {
  switch (program_->call[step_].hole) {
    case Hole::none:
      return take_literal(c);
    case Hole::name:
      return take_name(c);
    case Hole::index:
      return take_index(c);
    default:
      return take_any(c);
  }
}

bool CallReader::take_literal(char c) {
  const Literal::Taken taken = literal_.take(c);
  if (taken == Literal::Taken::mismatch) {
    // What closes a call may be missing.
    state_ = state_ == State::complete ? State::done : State::bad;
    return false;
  }
  if (literal_.ended()) enter(step_ + 1);
  return taken == Literal::Taken::yes;
}

bool CallReader::take_name(char c) {
  if (name_.empty() && is_space(c)) return true;
  if (!is_name(c)) {
    end_name() ? enter(step_ + 1) : fail();
    return false;
  }
  name_ += c;
  if (name_.size() > limits_->name_bytes) fail();
  return true;
}

bool CallReader::end_name() {
  const std::string_view suffix = name_suffix(program_->call[step_].text);
  if (name_.size() <= suffix.size() || !name_.ends_with(suffix)) return false;
  name_.resize(name_.size() - suffix.size());
  // Where no marker says that this is a call, the name has to be one of the tools'.
  return !program_->layout->at_start || tools_.empty() || find_tool(tools_, name_) != nullptr;
}

bool CallReader::take_index(char c) {
  if (c >= '0' && c <= '9' && seen_.size() < kMaxDigits) {
    seen_ += c;
    return true;
  }
  id_ = fmt::format("functions.{}:{}", name_, seen_);
  seen_.empty() ? fail() : enter(step_ + 1);
  return false;
}

// The next step's text ends what is skipped: its first byte does not occur in there.
bool CallReader::take_any(char c) {
  const std::string_view next = first_word(program_->call[step_].text);
  // A tag may begin in what is skipped, such as <|constrain|> before <|message|>.
  if (c == next[seen_.size()]) {
    seen_ += c;
    if (seen_ == next) {
      enter(step_ + 1);
      for (const char read : next) literal_.take(read);
      if (literal_.ended()) enter(step_ + 1);
    }
    return true;
  }
  const bool again = !seen_.empty();
  seen_.clear();
  if (again) return false;
  if (++skipped_ > kMaxSkipped) fail();
  return true;
}

void CallReader::enter(std::size_t step) {
  step_ = step;
  if (step == program_->call.size()) {
    state_ = State::done;
    return;
  }
  const Step& now = program_->call[step];
  const Notation notation = now.hole == Hole::keywords ? Notation::keywords
                            : now.hole == Hole::pairs  ? Notation::pairs
                                                       : Notation::json;
  seen_.clear();
  switch (now.hole) {
    case Hole::none: {
      // After `.call`, which the name has read.
      const bool after_name = step > 0 && program_->call[step - 1].hole == Hole::name;
      literal_ = Literal(now.text.substr(after_name ? name_suffix(now.text).size() : 0));
      if (begun_ && fixed_from(step)) state_ = State::complete;
      if (literal_.ended()) enter(step + 1);
      break;
    }
    case Hole::json:
    case Hole::keywords:
    case Hole::pairs:
      arguments_ = ValueReader(notation, program_->layout->quote, limits_->depth);
      break;
    case Hole::object:
      arguments_ =
          ObjectReader(object_keys(program_->layout->object), program_->layout->at_start, tools_, *limits_);
      break;
    case Hole::parameters:
      arguments_ =
          ParametersReader(program_->parameter, first_word(now.text), find_tool(tools_, name_), *limits_);
      break;
    default:
      break;
  }
}

bool CallReader::fixed_from(std::size_t step) const {
  return std::all_of(program_->call.begin() + static_cast<std::ptrdiff_t>(step), program_->call.end(),
                     [](const Step& s) { return s.hole == Hole::none; });
}

std::size_t CallReader::feed_arguments(std::string_view text, std::string& arguments) {
  if (auto* object = std::get_if<ObjectReader>(&arguments_)) return feed_object(*object, text, arguments);
  if (auto* parameters = std::get_if<ParametersReader>(&arguments_)) {
    return feed_parameters(*parameters, text, arguments);
  }
  if (auto* value = std::get_if<ValueReader>(&arguments_)) return feed_value(*value, text, arguments);
  return feed_code(text, arguments);
}

std::size_t CallReader::feed_object(ObjectReader& object, std::string_view text, std::string& arguments) {
  const std::size_t taken = object.feed(text, arguments);
  name_ = object.name();
  id_ = object.id();
  begun_ = object.begun();
  if (object.state() == ObjectReader::State::bad) fail();
  if (object.state() == ObjectReader::State::done) enter(step_ + 1);
  return taken;
}

std::size_t CallReader::feed_parameters(ParametersReader& parameters, std::string_view text,
                                        std::string& arguments) {
  const std::size_t taken = parameters.feed(text, arguments);
  begun_ = parameters.begun();
  if (parameters.state() == ParametersReader::State::bad) fail();
  if (parameters.state() == ParametersReader::State::done) {
    const std::string_view next = first_word(program_->call[step_].text);
    const std::size_t seen = parameters.next_taken();
    enter(step_ + 1);
    for (const char c : next.substr(0, seen)) literal_.take(c);
  }
  return taken;
}

std::size_t CallReader::feed_value(ValueReader& value, std::string_view text, std::string& arguments) {
  const bool members = program_->call[step_].hole != Hole::json;
  if (!begun_ && !members && is_space(text.front())) return 1;
  if (!begun_ && !members && text.front() != '{') {
    fail();
    return 0;
  }
  if (!begun_ && members) {
    const Tool* tool = find_tool(tools_, name_);
    value.open_members([tool](std::string_view key) { return parameter_types(tool, key).only_text(); },
                       arguments);
  }
  begun_ = true;
  const std::size_t taken = value.feed(text, arguments);
  if (value.state() == ValueReader::State::bad) fail();
  if (value.state() == ValueReader::State::done) enter(step_ + 1);
  return taken;
}

std::size_t CallReader::feed_code(std::string_view text, std::string& arguments) {
  if (!begun_) {
    name_ = code_tool(tools_);
    arguments += "{\"code\": \"";
    begun_ = true;
  }
  append_escaped(arguments, text);
  return text.size();
}

}  // namespace medlar::reply
