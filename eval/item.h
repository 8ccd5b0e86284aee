// One item of a task: a question with choices, or a prompt with the text that should follow.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/regex.h"

namespace medlar::eval {

struct Item {
  std::string id, task;  // task: a name by which items are counted together; may be empty
  std::string prompt;

  // Multiple choice, where there are any.
  std::vector<std::string> choices;
  std::size_t answer = 0;  // which of them is right

  // Else a text is written, which is right when it is one of these or a part of it matches the pattern.
  std::vector<std::string> expected;
  std::optional<grammar::Dfa> pattern;
  std::vector<std::string> stop;  // the text ends before the first of these

  bool is_choice() const { return !choices.empty(); }
};

// Blanks and newlines around the text and around what is expected do not count.
bool is_right(const Item& item, std::string_view text);

}  // namespace medlar::eval
