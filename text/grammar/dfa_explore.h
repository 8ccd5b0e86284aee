// Dfa::explore: states are found from the start and numbered in the order in which they are met.
#pragma once

#include <map>

#include "text/grammar/dfa.h"

namespace medlar::grammar {

template <class S, class Next, class Final>
Dfa Dfa::explore(S start, std::vector<char32_t> atoms, Next&& next, Final&& final) {
  Dfa result;
  result.atoms_ = std::move(atoms);
  std::map<S, StateId> numbers{{start, 0}};
  std::vector<S> states{start};
  for (std::size_t i = 0; i < states.size(); ++i) {
    check_size(states.size());
    const S state = states[i];
    result.final_.push_back(final(state));
    for (const char32_t atom : result.atoms_) {
      const auto [place, fresh] = numbers.try_emplace(next(state, atom), static_cast<StateId>(states.size()));
      if (fresh) states.push_back(place->first);
      result.next_.push_back(place->second);
    }
  }
  return result;
}

}  // namespace medlar::grammar
