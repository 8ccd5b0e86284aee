// Walks of the token tree, and putting masks together from them.
#include "text/grammar/masks.h"

#include <algorithm>
#include <utility>

namespace medlar::grammar {
namespace {

// Each kind of mask is dropped when it takes more than this.
constexpr std::size_t kMaxCacheBytes = std::size_t{48} << 20;

template <class Map>
void make_room(Map& cache, std::size_t words) {
  if ((cache.size() + 1) * words * sizeof(std::uint64_t) > kMaxCacheBytes) cache.clear();
}

}  // namespace

const TokenBits& Masks::mask(Config c) {
  if (const auto it = masks_.find(c); it != masks_.end()) return it->second;
  TokenBits bits = compute(c);
  make_room(masks_, vocabulary_.words());
  return masks_.emplace(c, std::move(bits)).first->second;
}

TokenBits Masks::compute(Config c) {
  const Twin t = twin(c);
  if (t.band == Vocabulary::kNoBand) return compute_by_stack(c);
  TokenBits bits = mask(t.config);
  const TokenBits& alike = vocabulary_.up_to(t.band);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] &= alike[i];
  const Vocabulary::Trie& longer = vocabulary_.trie(t.band);
  walk(longer, 0, longer.size(), c, bits, nullptr);
  return bits;
}

Masks::Twin Masks::twin(Config c) {
  std::vector<Machine::Item> items(machine_.items(c).begin(), machine_.items(c).end());
  std::uint32_t bytes = ~std::uint32_t{0};
  for (Machine::Item& item : items) {
    if (item.state == machine_.done()) continue;
    const Automaton::Twin t = automaton_.twin(item.state);
    item.state = t.state;
    bytes = std::min(bytes, t.bytes);
  }
  Twin result;
  for (std::size_t band = 1; band < Vocabulary::kBands.size(); ++band)
    if (Vocabulary::kBands[band] <= bytes) result.band = band;
  std::ranges::sort(items);
  // States that become one would need their stacks merged: rare, and not worth it.
  const bool distinct = std::ranges::adjacent_find(items, {}, &Machine::Item::state) == items.end();
  if (result.band != Vocabulary::kNoBand && distinct) result.config = machine_.intern(items);
  if (!distinct || result.config == c) result.band = Vocabulary::kNoBand;
  return result;
}

TokenBits Masks::compute_by_stack(Config c) {
  TokenBits bits(vocabulary_.words());
  std::vector<Machine::Item> items(machine_.items(c).begin(), machine_.items(c).end());
  std::ranges::sort(items, {}, [](const Machine::Item& i) { return std::pair(i.stack, i.state); });
  const Vocabulary::Trie& trie = vocabulary_.trie(0);
  for (std::size_t i = 0; i < items.size();) {
    const Stack stack = items[i].stack;
    std::vector<Machine::Item> group;
    for (; i < items.size() && items[i].stack == stack; ++i)
      group.push_back({items[i].state, Machine::kBase});
    const Local& l = local(machine_.intern(group));
    for (std::size_t w = 0; w < bits.size(); ++w) bits[w] |= l.bits[w];
    if (stack == Machine::kBase || l.leaves.empty()) continue;
    const Config below = machine_.below(stack);
    for (const std::uint32_t leaf : l.leaves)
      walk(trie, leaf + 1, trie.nodes[leaf].end, below, bits, nullptr);
  }
  return bits;
}

const Masks::Local& Masks::local(Config c) {
  if (const auto it = locals_.find(c); it != locals_.end()) return it->second;
  Local result{.bits = TokenBits(vocabulary_.words()), .leaves = {}};
  const Vocabulary::Trie& trie = vocabulary_.trie(0);
  walk(trie, 0, trie.size(), c, result.bits, &result.leaves);
  make_room(locals_, vocabulary_.words());
  return locals_.emplace(c, std::move(result)).first->second;
}

// Adds the tokens between two nodes that `from` can read. `leaves`, if wanted, gets the nodes after which
// what was called on the base of the stack may be at its end, as far as there are nodes below them.
void Masks::walk(const Vocabulary::Trie& trie, std::uint32_t begin, std::uint32_t end, Config from,
                 TokenBits& bits, std::vector<std::uint32_t>* leaves) {
  struct Level {
    std::uint32_t end;
    Config config;
  };
  std::vector<Level> levels{{end, from}};
  for (std::uint32_t i = begin; i < end;) {
    while (levels.back().end == i) levels.pop_back();
    const Vocabulary::Node& node = trie.nodes[i];
    const Config c = machine_.step(levels.back().config, node.byte);
    if (c == Machine::kDead) {
      i = node.end;
      continue;
    }
    for (std::uint32_t t = node.tokens; t < trie.nodes[i + 1].tokens; ++t) {
      const auto id = static_cast<std::size_t>(trie.tokens[t]);
      bits[id / 64] |= std::uint64_t{1} << (id % 64);
    }
    if (node.end > i + 1) {
      if (leaves && machine_.complete(c)) leaves->push_back(i);
      levels.push_back({node.end, c});
    }
    ++i;
  }
}

}  // namespace medlar::grammar
