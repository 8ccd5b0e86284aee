// Products and complements of automata over characters.
#include "text/grammar/dfa.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"

namespace medlar::grammar {
namespace {

std::vector<char32_t> merge(const std::vector<char32_t>& a, const std::vector<char32_t>& b) {
  std::vector<char32_t> all;
  std::ranges::set_union(a, b, std::back_inserter(all));
  return all;
}

std::size_t atom_of(const std::vector<char32_t>& atoms, char32_t c) {
  return static_cast<std::size_t>(std::ranges::upper_bound(atoms, c) - atoms.begin()) - 1;
}

}  // namespace

void Dfa::check_size(std::size_t states) {
  if (states > kMaxStates)
    throw Error(ErrorKind::limit, fmt::format("a pattern or range needs more than {} states", kMaxStates),
                "use smaller repetition counts, or fewer conditions at once");
}

Dfa Dfa::everything() {
  return explore(0, {0}, [](int, char32_t) { return 0; }, [](int) { return true; });
}

Dfa Dfa::lengths(std::uint32_t min, std::uint32_t max) {
  const std::uint32_t last = max == kUnbounded ? min : max;
  if (last >= kMaxStates) check_size(last + std::size_t{2});
  return explore(
      std::uint32_t{0}, {0},
      [=](std::uint32_t n, char32_t) {
        return max == kUnbounded ? std::min(n + 1, min) : std::min(n + 1, max + 1);
      },
      [=](std::uint32_t n) { return n >= min && (max == kUnbounded || n <= max); });
}

Dfa Dfa::words(const std::vector<std::u32string>& words) {
  std::vector<char32_t> atoms{0};
  std::map<std::pair<StateId, char32_t>, StateId> tree;
  std::vector<bool> ends(2);  // of the dead state 0 and the root 1
  for (const std::u32string& w : words) {
    StateId at = 1;
    for (const char32_t c : w) {
      atoms.insert(atoms.end(), {c, c + 1});
      const auto [place, fresh] = tree.try_emplace({at, c}, static_cast<StateId>(ends.size()));
      if (fresh) ends.push_back(false);
      at = place->second;
    }
    ends[at] = true;
    check_size(ends.size());
  }
  std::ranges::sort(atoms);
  atoms.erase(std::ranges::unique(atoms).begin(), atoms.end());
  if (atoms.back() > kLastCharacter) atoms.pop_back();
  return explore(
      StateId{1}, std::move(atoms),
      [&](StateId s, char32_t c) {
        const auto it = tree.find({s, c});
        return it == tree.end() ? StateId{0} : it->second;
      },
      [&](StateId s) { return bool{ends[s]}; });
}

template <class Join>
Dfa Dfa::product(const Dfa& a, const Dfa& b, Join&& join) {
  using Pair = std::pair<StateId, StateId>;
  return explore(
      Pair{0, 0}, merge(a.atoms_, b.atoms_),
      [&](const Pair& s, char32_t c) {
        return Pair{a.step(s.first, atom_of(a.atoms_, c)), b.step(s.second, atom_of(b.atoms_, c))};
      },
      [&](const Pair& s) { return join(bool{a.final_[s.first]}, bool{b.final_[s.second]}); });
}

Dfa Dfa::both(const Dfa& a, const Dfa& b) {
  return product(a, b, [](bool x, bool y) { return x && y; });
}
Dfa Dfa::either(const Dfa& a, const Dfa& b) {
  return product(a, b, [](bool x, bool y) { return x || y; });
}

Dfa Dfa::complement() const {
  Dfa result = *this;
  result.final_.flip();
  return result;
}

std::vector<bool> Dfa::alive() const {
  std::vector<std::vector<StateId>> from(size());
  for (StateId s = 0; s < size(); ++s)
    for (std::size_t a = 0; a < atoms_.size(); ++a)
      if (auto& list = from[step(s, a)]; list.empty() || list.back() != s) list.push_back(s);
  std::vector<bool> alive(size());
  std::vector<StateId> todo;
  for (StateId s = 0; s < size(); ++s)
    if (final_[s]) alive[s] = true, todo.push_back(s);
  while (!todo.empty()) {
    const StateId s = todo.back();
    todo.pop_back();
    for (const StateId f : from[s])
      if (!alive[f]) alive[f] = true, todo.push_back(f);
  }
  return alive;
}

bool Dfa::empty() const { return !alive()[0]; }

bool Dfa::accepts(std::u32string_view text) const {
  StateId s = 0;
  for (const char32_t c : text) s = step(s, atom_of(atoms_, c));
  return final_[s];
}

Expr Dfa::express(Rules& rules, const std::function<Expr(const CharSet&)>& spell) const {
  const std::vector<bool> live = alive();
  if (!live[0]) return rules.choice({});
  Graph graph;
  for (StateId s = 0; s < size(); ++s) graph.add_state(final_[s]);
  std::map<std::vector<std::pair<char32_t, char32_t>>, Expr> spelled;
  for (StateId s = 0; s < size(); ++s) {
    std::map<StateId, CharSet> edges;
    for (std::size_t a = 0; a < atoms_.size(); ++a)
      if (live[step(s, a)]) edges[step(s, a)].add(atoms_[a], last_of(a));
    for (const auto& [to, set] : edges) {
      std::vector<std::pair<char32_t, char32_t>> key;
      for (const CharRange& r : set.ranges()) key.emplace_back(r.first, r.last);
      auto place = spelled.find(key);
      if (place == spelled.end()) place = spelled.emplace(std::move(key), spell(set)).first;
      graph.edges.push_back({s, to, place->second});
    }
  }
  return rules.graph(std::move(graph));
}

}  // namespace medlar::grammar
