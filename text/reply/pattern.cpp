// Patterns are split at their holes, and fixed text is matched word by word.
#include "text/reply/pattern.h"

#include <array>
#include <utility>

#include "base/assert.h"

namespace medlar::reply {
namespace {

constexpr std::array<std::pair<std::string_view, Hole>, 13> kHoles{{
    {"object", Hole::object},
    {"name", Hole::name},
    {"index", Hole::index},
    {"id", Hole::id},
    {"any", Hole::any},
    {"json", Hole::json},
    {"keywords", Hole::keywords},
    {"pairs", Hole::pairs},
    {"parameters", Hole::parameters},
    {"code", Hole::code},
    {"key", Hole::key},
    {"text", Hole::text},
    {"value", Hole::value},
}};

// The hole at the beginning of `text`, after its $; the longest name wins.
std::pair<std::string_view, Hole> hole_at(std::string_view text) {
  std::pair<std::string_view, Hole> found{{}, Hole::none};
  for (const auto& row : kHoles) {
    if (text.starts_with(row.first) && row.first.size() > found.first.size()) found = row;
  }
  MEDLAR_ASSERT(found.second != Hole::none);
  return found;
}

bool between_tags(char before, char after) {
  return (before == '>' || before == ']') && (after == '<' || after == '[' || after == '{');
}

}  // namespace

std::vector<Step> steps(std::string_view pattern) {
  std::vector<Step> result;
  while (!pattern.empty()) {
    const std::size_t dollar = pattern.find('$');
    const std::string_view text = pattern.substr(0, dollar);
    if (!text.empty()) {
      if (!result.empty()) result.back().text = text;
      result.push_back({Hole::none, text});
    }
    if (dollar == std::string_view::npos) break;
    const auto [name, hole] = hole_at(pattern.substr(dollar + 1));
    result.push_back({hole, {}});
    pattern.remove_prefix(dollar + 1 + name.size());
  }
  return result;
}

ObjectKeys object_keys(std::string_view object) {
  ObjectKeys keys;
  std::string_view last;
  for (const Step& step : steps(object)) {
    if (step.hole == Hole::none) {
      const std::size_t colon = step.text.rfind(':');
      if (colon == std::string_view::npos) continue;
      const std::size_t begin = step.text.rfind('"', colon - 2);
      last = step.text.substr(begin + 1, colon - begin - 2);
    } else {
      (step.hole == Hole::name ? keys.name : step.hole == Hole::json ? keys.arguments : keys.id) = last;
    }
  }
  return keys;
}

std::string_view marker(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool ends = text[i] == '\n' || (i > 0 && between_tags(text[i - 1], text[i]));
    if (ends) return text.substr(0, i);
  }
  return text;
}

std::string_view first_word(std::string_view text) {
  text = trim(text);
  std::size_t end = 0;
  while (end < text.size() && !is_space(text[end]) && !(end > 0 && between_tags(text[end - 1], text[end])))
    ++end;
  return text.substr(0, end);
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool Literal::open_to_space() const {
  return at_ == 0 || at_ == text_.size() || is_space(text_[at_]) || is_space(text_[at_ - 1]) ||
         between_tags(text_[at_ - 1], text_[at_]);
}

bool Literal::ended() const { return trim(text_.substr(at_)).empty(); }

std::string_view Literal::word() const {
  return open_to_space() ? std::string_view() : text_.substr(word_, at_ - word_);
}

Literal::Taken Literal::take(char c) {
  if (ended()) return Taken::no;
  if (open_to_space()) {
    word_ = at_;
    if (is_space(c)) return Taken::yes;
    while (is_space(text_[at_])) ++at_;
    word_ = at_;
  }
  if (text_[at_] != c) return Taken::mismatch;
  ++at_;
  return Taken::yes;
}

}  // namespace medlar::reply
