// Deterministic automata over characters: what patterns, lengths and ranges of numbers become before they are
// written as rules. Unlike rules they can be intersected and complemented.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "text/grammar/rules.h"

namespace medlar::grammar {

// State 0 is the start. Every state has a transition for every character; a state from which no final one can
// be reached counts as dead.
class Dfa {
 public:
  using StateId = std::uint32_t;

  // Makes an automaton from a start state and the transitions of each: `next(state, first, last)` is asked
  // once for each of `atoms`, ranges of characters that nothing tells apart, given by their first characters
  // in order from 0. States are any values that can be ordered.
  template <class S, class Next, class Final>
  static Dfa explore(S start, std::vector<char32_t> atoms, Next&& next, Final&& final);

  static Dfa everything();                                     // all texts
  static Dfa lengths(std::uint32_t min, std::uint32_t max);    // in characters; kUnbounded
  static Dfa words(const std::vector<std::u32string>& words);  // exactly these
  static Dfa both(const Dfa& a, const Dfa& b);                 // intersection
  static Dfa either(const Dfa& a, const Dfa& b);               // union
  Dfa complement() const;

  bool empty() const;  // no text at all
  bool accepts(std::u32string_view text) const;
  std::size_t size() const { return final_.size(); }

  // The automaton as an expression; `spell` says how the characters of a set are written.
  Expr express(Rules& rules, const std::function<Expr(const CharSet&)>& spell) const;

  // Reaching this many states is Error(limit).
  static constexpr std::size_t kMaxStates = 50'000;

 private:
  StateId step(StateId s, std::size_t atom) const { return next_[s * atoms_.size() + atom]; }
  std::vector<bool> alive() const;
  char32_t last_of(std::size_t atom) const {
    return atom + 1 < atoms_.size() ? atoms_[atom + 1] - 1 : kLastCharacter;
  }
  static void check_size(std::size_t states);
  template <class Join>
  static Dfa product(const Dfa& a, const Dfa& b, Join&& join);

  std::vector<char32_t> atoms_;  // first characters of ranges; the first is 0
  std::vector<StateId> next_;    // (states, atoms)
  std::vector<bool> final_;
};

}  // namespace medlar::grammar

#include "text/grammar/dfa_explore.h"
