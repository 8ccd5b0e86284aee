// GBNF as text: literals, and rules that several places share.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::reply {

// `text` as a terminal; empty for no text.
std::string gbnf_literal(std::string_view text);
// "a b" for non-empty a and b.
std::string gbnf_sequence(std::string_view a, std::string_view b);
// "(a | b)", or the only one.
std::string gbnf_choice(const std::vector<std::string>& choices);

class Gbnf {
 public:
  void rule(std::string_view name, std::string_view expression);
  // Once, however often it is asked for.
  void shared_rule(std::string_view name, std::string_view expression);
  // The name of a rule for any text in which `word` does not occur.
  std::string text_without(std::string_view word);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::set<std::string, std::less<>> shared_;
  std::vector<std::string> words_;  // of text_without()
};

}  // namespace medlar::reply
