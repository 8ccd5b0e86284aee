// Which tokens may follow a configuration, without trying every token every time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/grammar/machine.h"
#include "text/grammar/vocabulary.h"

namespace medlar::grammar {

// Three ideas keep this fast:
// - What a token does before it leaves the rule it began in does not depend on the stack. The tree of all
// tokens is
//   walked once for each set of states; it leaves a set of tokens and the few places in the tree where the
//   stack is to be asked. Only those places are walked again for another stack.
// - Finished masks are kept by configuration, and configurations recur.
// - In a counted repetition, far from the count's end, tokens behave as in the first copy. Only those tokens
// that are
//   longer than what is left are walked.
class Masks {
 public:
  Masks(Machine& machine, const Automaton& automaton, const Vocabulary& vocabulary)
      : machine_(machine), automaton_(automaton), vocabulary_(vocabulary) {}

  // The text tokens that may come next. Valid until the next call. May throw as Machine does.
  const TokenBits& mask(Config c);

  // After Machine::clear().
  void clear() { masks_.clear(), locals_.clear(); }

 private:
  // Seen from a set of states with an unknown stack.
  struct Local {
    TokenBits bits;                     // allowed, whatever the stack
    std::vector<std::uint32_t> leaves;  // nodes after which the stack may say how to go on
  };
  struct Twin {
    Config config = 0;
    std::size_t band = Vocabulary::kNoBand;  // tokens of up to this band behave alike
  };

  TokenBits compute(Config c);
  TokenBits compute_by_stack(Config c);
  const Local& local(Config c);
  Twin twin(Config c);
  void walk(const Vocabulary::Trie& trie, std::uint32_t begin, std::uint32_t end, Config from,
            TokenBits& bits, std::vector<std::uint32_t>* leaves);

  Machine& machine_;
  const Automaton& automaton_;
  const Vocabulary& vocabulary_;
  std::unordered_map<Config, TokenBits> masks_;
  std::unordered_map<Config, Local> locals_;
};

}  // namespace medlar::grammar
