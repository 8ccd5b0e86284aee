// Text under construction, held to the budget as it grows.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "text/jinja/budget.h"
#include "text/unicode.h"

namespace medlar::jinja {

class TextBuilder {
 public:
  // Throws Error(limit) when the text would exceed `limit` bytes.
  TextBuilder(Budget& budget, std::size_t limit) : budget_(budget), limit_(limit) {}
  explicit TextBuilder(Budget& budget) : TextBuilder(budget, budget.room()) {}

  Budget& budget() { return budget_; }
  const std::string& text() const { return text_; }
  std::string take() { return std::move(text_); }

  void append(std::string_view part) {
    reserve(part.size());
    text_ += part;
  }
  void append(char c) { append(std::string_view(&c, 1)); }
  void append(char32_t c) {
    reserve(4);
    text::append_utf8(text_, c);
  }
  void repeat(std::string_view part, std::size_t times) {
    if (part.empty()) return;
    if (times > limit_ / part.size()) Budget::exhausted("memory");
    reserve(part.size() * times);
    for (std::size_t i = 0; i < times; ++i) text_ += part;
  }

 private:
  void reserve(std::size_t more) {
    budget_.spend_bytes(more);
    if (more > limit_ - text_.size()) Budget::exhausted("memory");
  }

  Budget& budget_;
  std::size_t limit_;
  std::string text_;
};

}  // namespace medlar::jinja
