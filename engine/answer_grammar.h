// Which tokens an answer may go on with: those of its grammar, from the start or once a trigger has been
// said. Internal to engine/.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace medlar {

class AnswerGrammar {
 public:
  explicit AnswerGrammar(const GenerateOptions& options);

  // Whether it holds already.
  bool awake() const { return awake_; }
  // Once it holds: which tokens may come next, as Matcher::mask().
  void mask(std::span<std::uint64_t> bits) { matcher_.mask(bits); }
  // Whether the token may come next.
  bool allows(text::TokenId token);
  // Throws Error(usage) for one that may not.
  void accept(text::TokenId token);
  // After each token: where the answer stands now. Triggers count outside of reasoning.
  void set_reasoning(bool on);
  bool finished() { return awake_ && matcher_.finished(); }

 private:
  std::optional<std::string> triggered_by(std::string_view bytes) const;
  void keep(std::string_view bytes);

  const grammar::Vocabulary& vocabulary_;
  grammar::Matcher matcher_;
  std::vector<std::string> triggers_;
  bool at_start_ = false;
  std::size_t longest_ = 0;  // trigger
  bool awake_;
  bool reasoning_ = false;
  std::string said_;   // what a trigger may begin in
  bool late_ = false;  // the content began with something else
};

}  // namespace medlar
