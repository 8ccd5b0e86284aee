// Looks for markers in what has come, and hands calls to the layouts whose marker it is, one after the other.
#include "text/reply/parser.h"

#include <algorithm>
#include <utility>

#include "text/reply/pattern.h"

namespace medlar::reply {

std::string opened_by(const ReplyFormat& format, std::string_view prompt) {
  for (const std::string_view end : {format.calls->prompt_end, format.reasoning->prompt_end}) {
    if (!end.empty() && prompt.ends_with(end)) return std::string(end);
  }
  const std::string_view open = trim(format.reasoning->open);
  return !open.empty() && trim(prompt).ends_with(open) ? std::string(format.reasoning->open) : std::string();
}

ReplyParser::ReplyParser(const ReplyFormat& format, ReplyOptions options)
    : options_(std::move(options)), special_tokens_(format.special_tokens) {
  if (options_.parse_calls) {
    for (const CallLayout& layout : format.calls->layouts) programs_.emplace_back(layout);
  }
  add_markers(format);
  if (options_.opened.empty()) return;
  if (options_.opened == format.reasoning->open) {
    in_reasoning_ = trim_reasoning_ = options_.split_reasoning;
  } else {
    text_ = options_.opened;
    hidden_ = text_.size();
    advance(false);
  }
}

void ReplyParser::add_markers(const ReplyFormat& format) {
  for (std::size_t i = 0; i < programs_.size(); ++i) {
    if (programs_[i].marker.empty()) continue;
    add_marker({programs_[i].marker, Marker::Kind::calls, i, programs_[i].layout->ends_reasoning});
  }
  const ReasoningFormat& reasoning = *format.reasoning;
  for (const std::string_view text : reasoning.dropped) add_marker({text, Marker::Kind::dropped});
  if (options_.split_reasoning && !reasoning.open.empty()) {
    add_marker({trim(reasoning.open), Marker::Kind::reasoning});
    for (const std::string_view text : reasoning.close) {
      add_marker({text, Marker::Kind::end_of_reasoning, 0, true});
    }
  }
}

void ReplyParser::add_marker(Marker marker) {
  marker.only_special =
      std::find(special_tokens_.begin(), special_tokens_.end(), marker.text) != special_tokens_.end();
  starts_[static_cast<unsigned char>(marker.text.front())] = true;
  const auto shorter = [&](const Marker& other) { return other.text.size() < marker.text.size(); };
  markers_.insert(std::find_if(markers_.begin(), markers_.end(), shorter), marker);
}

std::vector<Delta> ReplyParser::push(std::string_view piece, bool special) {
  if (special && !piece.empty()) specials_.push_back({text_.size(), text_.size() + piece.size()});
  text_ += piece;
  reply_.text += piece;
  advance(false);
  return std::exchange(out_, {});
}

std::vector<Delta> ReplyParser::finish() {
  advance(true);
  if (reply_.calls.empty() && !trim_content_) put(Delta::Kind::content, std::exchange(content_gap_, {}));
  return std::exchange(out_, {});
}

void ReplyParser::advance(bool last) {
  while (run_ ? run(last) : scan(last)) {
  }
}

// Up to the next marker. Whether there is more to do with the text that has come.
bool ReplyParser::scan(bool last) {
  for (std::size_t i = pos_; i < text_.size(); ++i) {
    while (next_special_ < specials_.size() && specials_[next_special_].begin < i) ++next_special_;
    const bool special = next_special_ < specials_.size() && specials_[next_special_].begin == i;
    if (special || starts_[static_cast<unsigned char>(text_[i])]) {
      const Match found = match(i, last);
      if (found == Match::entered) return true;
      if (found == Match::undecided) {
        emit(i);
        return false;
      }
    }
    if (special) {  // none of the markers: it is no text either
      emit(i);
      pos_ = specials_[next_special_].end;
      return true;
    }
    if (at_start_ && !in_reasoning_ && !is_space(text_[i]) && i >= hidden_ && try_unmarked(i)) return true;
  }
  emit(text_.size());
  return false;
}

bool ReplyParser::looked_for(const Marker& marker) const {
  if (in_reasoning_) return marker.in_reasoning;
  // Reasoning that the prompt had closed, or opened unseen, may still be closed at the very beginning.
  return marker.kind != Marker::Kind::end_of_reasoning || at_start_;
}

// What is there of the text agrees with the marker.
bool ReplyParser::matches(const Marker& marker, std::size_t at) const {
  const std::string_view there = std::string_view(text_).substr(at, marker.text.size());
  if (!marker.text.starts_with(there)) return false;
  return !marker.only_special || (next_special_ < specials_.size() && specials_[next_special_].begin == at &&
                                  specials_[next_special_].end == at + marker.text.size());
}

// The longest marker wins, once it is clear that none of the longer ones is coming.
ReplyParser::Match ReplyParser::match(std::size_t at, bool last) {
  for (const Marker& marker : markers_) {
    if (!looked_for(marker) || !matches(marker, at)) continue;
    if (at + marker.text.size() <= text_.size()) {
      enter(marker, at);
      return Match::entered;
    }
    if (!last) return Match::undecided;
  }
  return Match::none;
}

void ReplyParser::enter(const Marker& marker, std::size_t at) {
  emit(at);
  if (marker.kind == Marker::Kind::calls && reply_.calls.size() >= options_.limits.calls) {
    reply_.malformed = true;
    emit(at + marker.text.size());
    return;
  }
  if (marker.kind == Marker::Kind::calls) {
    attempts_.clear();
    for (const Marker& other : markers_) {
      const bool same = other.kind == Marker::Kind::calls && looked_for(other) && matches(other, at) &&
                        at + other.text.size() <= text_.size();
      if (same) attempts_.insert(attempts_.begin(), other.program);
    }
    if (in_reasoning_) end_reasoning();
    marked_ = true;
    run_begin_ = at;
    next_attempt();
    return;
  }
  pos_ = at + marker.text.size();
  if (in_reasoning_) end_reasoning();
  if (marker.kind == Marker::Kind::reasoning) {
    in_reasoning_ = true;
    trim_reasoning_ = true;
    if (!reply_.reasoning.empty()) reasoning_gap_.assign(1, '\n');
  }
  trim_content_ = trim_content_ || reply_.content.empty();
}

void ReplyParser::end_reasoning() {
  in_reasoning_ = false;
  trim_content_ = reply_.content.empty();
  reasoning_gap_.clear();
}

// A call that no marker announces, at the first byte that is not white space.
bool ReplyParser::try_unmarked(std::size_t at) {
  at_start_ = false;
  attempts_.clear();
  if (reply_.calls.size() >= options_.limits.calls) return false;
  for (std::size_t i = programs_.size(); i-- > 0;) {
    if (programs_[i].marker.empty() && programs_[i].start == text_[at]) attempts_.push_back(i);
  }
  if (attempts_.empty()) return false;
  emit(at);
  marked_ = false;
  run_begin_ = at;
  next_attempt();
  return true;
}

void ReplyParser::next_attempt() {
  pos_ = run_begin_;
  run_.emplace(programs_[attempts_.back()], options_.tools, options_.limits,
               options_.limits.calls - reply_.calls.size());
  attempts_.pop_back();
}

// As scan(), within calls.
bool ReplyParser::run(bool last) {
  const bool at_end = pos_ == text_.size();
  if (at_end && !last) return false;
  const RunReader::Event event = at_end ? run_->finish() : run_->feed(std::string_view(text_).substr(pos_));
  pos_ += event.taken;
  handle(event);
  if (run_ && run_->state() == RunReader::State::done) {
    end_run();
  } else if (run_ && run_->state() == RunReader::State::failed) {
    fail_run(at_end);
  }
  return true;
}

void ReplyParser::handle(const RunReader::Event& event) {
  if (event.arguments.empty() && !event.call_ended) return;
  if (!announced_) {
    announced_ = true;
    reply_.calls.push_back({run_->call().id(), run_->call().name(), {}, next_index_++});
    const Call& call = reply_.calls.back();
    out_.push_back({Delta::Kind::call_begin, call.index, {}, call.name, call.id});
    trim_content_ = trim_content_ || reply_.content.empty();
  }
  Call& call = reply_.calls.back();
  call.arguments += event.arguments;
  if (!event.arguments.empty()) {
    out_.push_back({Delta::Kind::call_arguments, call.index, event.arguments});
  }
  if (event.call_ended) {
    call.id = run_->call().id();
    out_.push_back({Delta::Kind::call_end, call.index, {}, {}, call.id});
    announced_ = false;
  }
}

void ReplyParser::end_run() {
  pos_ -= run_->overrun();
  run_.reset();
  at_start_ = reply_.content.empty();
}

// The call being read is none: it becomes content, unless another layout is still to be tried.
void ReplyParser::fail_run(bool at_end) {
  std::size_t begin = pos_ - run_->call_taken();
  if (announced_) {
    out_.push_back({Delta::Kind::call_malformed, reply_.calls.back().index});
    reply_.calls.pop_back();
  } else if (!run_->any() && !attempts_.empty()) {
    return next_attempt();
  }
  if (!run_->any()) begin = run_begin_;
  if (announced_ || marked_) {
    reply_.malformed = true;
    reply_.truncated = reply_.truncated || at_end;
  }
  announced_ = false;
  at_start_ = false;
  run_.reset();
  const std::size_t end = std::exchange(pos_, begin);
  emit(end);
}

// What lies between pos_ and `end` is text.
void ReplyParser::emit(std::size_t end) {
  const std::size_t begin = std::max(std::exchange(pos_, end), hidden_);
  if (begin >= end) return;
  const std::string_view text = std::string_view(text_).substr(begin, end - begin);
  in_reasoning_ ? reasoning(text) : content(text);
}

namespace {

// Takes the white space before `text`, if there is more than that, from the gap; leaves in it what follows.
std::string close_gap(std::string& gap, std::string_view text, bool& trims) {
  const std::string_view core = trim(text);
  if (core.empty()) {
    if (!trims) gap += text;
    return {};
  }
  const auto begin = static_cast<std::size_t>(core.data() - text.data());
  std::string result = std::exchange(gap, {});
  if (!trims) result += text.substr(0, begin);
  result += core;
  gap = text.substr(begin + core.size());
  trims = false;
  return result;
}

}  // namespace

void ReplyParser::content(std::string_view text) {
  std::string closed = close_gap(content_gap_, text, trim_content_);
  if (!closed.empty()) at_start_ = false;
  put(Delta::Kind::content, std::move(closed));
}

void ReplyParser::reasoning(std::string_view text) {
  put(Delta::Kind::reasoning, close_gap(reasoning_gap_, text, trim_reasoning_));
}

void ReplyParser::put(Delta::Kind kind, std::string text) {
  if (text.empty()) return;
  (kind == Delta::Kind::content ? reply_.content : reply_.reasoning) += text;
  out_.push_back({kind, 0, std::move(text)});
}

}  // namespace medlar::reply
