// Thompson's construction (1968), with counted repetitions written out and lists of words shared as a tree.
#include "text/grammar/state_graph.h"

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/error.h"

namespace medlar::grammar {
namespace {

// Repetitions shorter than this gain nothing from twins.
constexpr std::uint32_t kMinTwinCopies = 4;
// Choices of at least this many words are laid out as a tree.
constexpr std::size_t kMinTree = 2;

class Builder {
 public:
  Builder(const Rules& rules, CompileLimits limits) : rules_(rules), graph_(limits) {}

  StateGraph operator()() {
    for (std::size_t r = 0; r < rules_.rules().size(); ++r) {
      const State start = graph_.add_state(), end = graph_.add_state();
      graph_.starts.push_back(start);
      graph_.final[end] = true;
      emit(rules_.rules()[r].body, start, end);
    }
    for (RuleId r = 0; r < graph_.starts.size(); ++r)
      if (rules_.rules()[r].like.rule != kUnbounded) make_twin(r);
    return std::move(graph_);
  }

 private:
  // A rule's states follow its start.
  State states_of(RuleId r) const {
    return (r + 1 < graph_.starts.size() ? graph_.starts[r + 1] : graph_.size()) - graph_.starts[r];
  }
  void make_twin(RuleId r) {
    const auto [like, bytes] = rules_.rules()[r].like;
    MEDLAR_ASSERT(states_of(r) == states_of(like));
    for (State s = 0; s < states_of(r); ++s)
      graph_.twins[graph_.starts[r] + s] = {graph_.starts[like] + s, bytes};
  }

  void emit(Expr e, State from, State to) {
    std::visit([&](const auto& node) { add(node, from, to); }, rules_.node(e));
  }

  void add(const std::string& bytes, State from, State to) {
    if (bytes.empty()) return graph_.add_empty(from, to);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto byte = static_cast<std::uint8_t>(bytes[i]);
      const State next = i + 1 == bytes.size() ? to : graph_.add_state();
      graph_.add_bytes(from, {byte, byte}, next);
      from = next;
    }
  }

  // Sequences share their ends: what follows the same rest is one state.
  void add(const CharSet& set, State from, State to) {
    std::map<std::vector<ByteRange>, State> after;
    for (const Utf8Sequence& s : utf8_sequences(set)) {
      State next = to;
      for (int i = s.length - 1; i > 0; --i) {
        const std::vector<ByteRange> rest(s.bytes.begin() + i, s.bytes.begin() + s.length);
        const auto [place, fresh] = after.try_emplace(rest, 0);
        if (fresh) {
          place->second = graph_.add_state();
          graph_.add_bytes(place->second, s.bytes[static_cast<std::size_t>(i)], next);
        }
        next = place->second;
      }
      graph_.add_bytes(from, s.bytes[0], next);
    }
  }

  void add(const Rules::Sequence& sequence, State from, State to) {
    if (sequence.parts.empty()) return graph_.add_empty(from, to);
    for (std::size_t i = 0; i < sequence.parts.size(); ++i) {
      const State next = i + 1 == sequence.parts.size() ? to : graph_.add_state();
      emit(sequence.parts[i], from, next);
      from = next;
    }
  }

  void add(const Rules::Choice& choice, State from, State to) {
    std::vector<std::string_view> words;
    for (const Expr part : choice.parts)
      if (const auto* word = std::get_if<std::string>(&rules_.node(part))) words.push_back(*word);
    const bool tree = words.size() >= kMinTree;
    if (tree) {
      std::ranges::sort(words);
      words.erase(std::ranges::unique(words).begin(), words.end());
      add_tree(words, from, to);
    }
    for (const Expr part : choice.parts) {
      if (tree && std::holds_alternative<std::string>(rules_.node(part))) continue;
      emit(part, from, to);
    }
  }

  // Words in order; a branch for every first byte.
  void add_tree(std::span<const std::string_view> words, State from, State to) {
    struct Work {
      std::span<const std::string_view> words;
      std::size_t at = 0;
      State from = 0;
    };
    std::vector<Work> todo{{words, 0, from}};
    while (!todo.empty()) {
      Work w = todo.back();
      todo.pop_back();
      if (!w.words.empty() && w.words[0].size() == w.at) {
        graph_.add_empty(w.from, to);
        w.words = w.words.subspan(1);
      }
      while (!w.words.empty()) {
        const char byte = w.words[0][w.at];
        std::size_t n = 1;
        while (n < w.words.size() && w.words[n][w.at] == byte) ++n;
        const State next = graph_.add_state();
        const auto b = static_cast<std::uint8_t>(byte);
        graph_.add_bytes(w.from, {b, b}, next);
        todo.push_back({w.words.first(n), w.at + 1, next});
        w.words = w.words.subspan(n);
      }
    }
  }

  void add(const Rules::Repeat& repeat, State from, State to) {
    const auto [min, max] = repeat.count;
    const State at = copies(repeat.body, from, min, 1);
    if (max == kUnbounded) {
      const State loop = graph_.add_state();
      graph_.add_empty(at, loop);
      emit(repeat.body, loop, loop);
      return graph_.add_empty(loop, to);
    }
    // One may stop before the first of the optional copies and after each.
    graph_.add_empty(at, to);
    if (max == min) return;
    const State first = graph_.size();
    copies(repeat.body, at, max - min, 0);
    const State size = (graph_.size() - first) / (max - min);
    for (std::uint32_t i = 0; i < max - min; ++i) graph_.add_empty(first + i * size, to);
  }

  // n copies in a row; the first state of each is where the one before it ends. A copy that has `late` or
  // fewer copies behind it is nobody's twin.
  State copies(Expr body, State from, std::uint32_t n, std::uint32_t late) {
    const State first = graph_.size();
    State size = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      const State begin = graph_.size(), next = graph_.add_state();
      emit(body, from, next);
      size = graph_.size() - begin;
      const std::uint32_t behind = n - 1 - i;
      if (i > 0 && n >= kMinTwinCopies && behind > late) {
        for (State s = 0; s < size; ++s) {
          const StateGraph::Twin twin = graph_.twins[first + s];
          graph_.twins[begin + s] = {twin.state, std::min(twin.bytes, behind - late)};
        }
      }
      from = next;
    }
    return from;
  }

  void add(const Rules::Call& call, State from, State to) { graph_.add_call(from, call.rule, to); }

  void add(const Graph& graph, State from, State to) {
    const State base = graph_.size();
    for (std::size_t i = 0; i < graph.final.size(); ++i) graph_.add_state();
    graph_.add_empty(from, base);
    for (std::size_t i = 0; i < graph.final.size(); ++i)
      if (graph.final[i]) graph_.add_empty(base + static_cast<State>(i), to);
    for (const Graph::Edge& e : graph.edges) emit(e.reads, base + e.from, base + e.to);
  }

  const Rules& rules_;
  StateGraph graph_;
};

}  // namespace

State StateGraph::add_state() {
  if (size() >= limits_.states)
    throw Error(ErrorKind::limit, fmt::format("the grammar needs more than {} states", limits_.states),
                "use smaller repetition counts, fewer rules or shorter lists of values");
  final.push_back(false);
  twins.push_back({size() - 1, ~std::uint32_t{0}});
  return size() - 1;
}

void StateGraph::check() const {
  if (byte_edges.size() + call_edges.size() + empty_edges.size() > limits_.edges)
    throw Error(ErrorKind::limit, fmt::format("the grammar needs more than {} edges", limits_.edges),
                "use smaller repetition counts, fewer rules or shorter lists of values");
}

StateGraph build_states(const Rules& rules, CompileLimits limits) { return Builder(rules, limits)(); }

}  // namespace medlar::grammar
