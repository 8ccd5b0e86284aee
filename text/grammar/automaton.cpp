// From the graph that was built to arrays: unreachable states go, chains of empty edges become one.
#include "text/grammar/automaton.h"

#include <algorithm>
#include <bitset>
#include <utility>

namespace medlar::grammar {

class Freezer {
 public:
  explicit Freezer(const StateGraph& graph)
      : graph_(graph),
        bytes_(graph.byte_edges, graph.size()),
        calls_(graph.call_edges, graph.size()),
        empties_(graph.empty_edges, graph.size()) {}

  Automaton operator()(RuleId root, const std::vector<std::uint32_t>& ranks) {
    skip_relays();
    number_states(root);
    out_.root_ = root;
    out_.rules_.resize(graph_.starts.size());
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      const State start = number_[graph_.starts[r]];
      out_.rules_[r] = {ranks[r], start == kNone ? 0 : start};
    }
    write_edges();
    find_ends();
    find_entries();
    find_classes();
    return std::move(out_);
  }

 private:
  static constexpr State kNone = ~State{0};

  // A state with nothing but one empty edge is as good as what that leads to.
  void skip_relays() {
    target_.resize(graph_.size());
    for (State s = 0; s < graph_.size(); ++s) {
      target_[s] = s;
      if (graph_.final[s] || bytes_.count(s) || calls_.count(s) || empties_.count(s) != 1) continue;
      empties_.each(s, [&](const auto& e) { target_[s] = e.to; });
    }
    // Relays in a ring lead to no end, so there are none.
    for (State s = 0; s < graph_.size(); ++s) {
      State last = s;
      while (target_[last] != last) last = target_[last];
      for (State next = s; next != last;) next = std::exchange(target_[next], last);
    }
  }

  // In the order in which they are reached.
  void number_states(RuleId root) {
    number_.assign(graph_.size(), kNone);
    std::vector<bool> called(graph_.starts.size());
    const auto visit = [&](State s) {
      s = target_[s];
      if (number_[s] != kNone) return;
      number_[s] = static_cast<State>(order_.size());
      order_.push_back(s);
    };
    const auto visit_rule = [&](RuleId r) {
      if (!called[r]) called[r] = true, visit(graph_.starts[r]);
    };
    visit_rule(root);
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const State s = order_[i];
      bytes_.each(s, [&](const auto& e) { visit(e.to); });
      calls_.each(s, [&](const auto& e) { visit(e.to), visit_rule(e.rule); });
      empties_.each(s, [&](const auto& e) { visit(e.to); });
      visit(graph_.twins[s].state);
    }
    for (State s = 0; s < graph_.size(); ++s) number_[s] = number_[target_[s]];
  }

  void write_edges() {
    for (const State s : order_) {
      out_.byte_begin_.push_back(static_cast<std::uint32_t>(out_.bytes_.size()));
      out_.call_begin_.push_back(static_cast<std::uint32_t>(out_.calls_.size()));
      out_.empty_begin_.push_back(static_cast<std::uint32_t>(out_.empties_.size()));
      bytes_.each(s, [&](const auto& e) { out_.bytes_.push_back({e.bytes, number_[e.to]}); });
      calls_.each(s, [&](const auto& e) { out_.calls_.push_back({e.rule, number_[e.to]}); });
      empties_.each(s, [&](const auto& e) { out_.empties_.push_back(number_[e.to]); });
      out_.final_.push_back(graph_.final[s]);
      const auto twin = graph_.twins[s];
      out_.twins_.push_back({number_[twin.state], twin.bytes});
    }
    out_.byte_begin_.push_back(static_cast<std::uint32_t>(out_.bytes_.size()));
    out_.call_begin_.push_back(static_cast<std::uint32_t>(out_.calls_.size()));
    out_.empty_begin_.push_back(static_cast<std::uint32_t>(out_.empties_.size()));
  }

  // A state is at the end unless an edge that reads can be reached by empty ones.
  void find_ends() {
    struct Edge {
      State from, to;
    };
    std::vector<Edge> edges;
    for (State s = 0; s < out_.size(); ++s)
      for (const State to : out_.empties(s)) edges.push_back({s, to});
    const EdgeIndex<Edge, &Edge::to> into(edges, static_cast<State>(out_.size()));
    out_.at_end_.assign(out_.size(), true);
    std::vector<State> todo;
    for (State s = 0; s < out_.size(); ++s) {
      if (!out_.reads(s)) continue;
      out_.at_end_[s] = false;
      todo.push_back(s);
    }
    while (!todo.empty()) {
      const State s = todo.back();
      todo.pop_back();
      into.each(s, [&](const Edge& e) {
        if (out_.at_end_[e.from]) out_.at_end_[e.from] = false, todo.push_back(e.from);
      });
    }
  }

  void find_entries() {
    std::vector<bool> seen(out_.size());
    for (std::size_t r = 0; r < out_.rules_.size(); ++r) {
      out_.entry_begin_.push_back(static_cast<std::uint32_t>(out_.entries_.size()));
      if (number_[graph_.starts[r]] == kNone) continue;
      std::vector<State> reached{out_.rules_[r].start};
      seen[reached[0]] = true;
      for (std::size_t i = 0; i < reached.size(); ++i) {
        if (out_.reads(reached[i])) out_.entries_.push_back(reached[i]);
        for (const State to : out_.empties(reached[i]))
          if (!seen[to]) seen[to] = true, reached.push_back(to);
      }
      for (const State s : reached) seen[s] = false;
    }
    out_.entry_begin_.push_back(static_cast<std::uint32_t>(out_.entries_.size()));
  }

  // A class ends wherever some edge begins or ends.
  void find_classes() {
    std::bitset<257> begins;
    begins[0] = true;
    for (const auto& e : out_.bytes_) begins[e.bytes.first] = begins[e.bytes.last + std::size_t{1}] = true;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      if (begins[byte]) out_.example_[out_.classes_++] = static_cast<std::uint8_t>(byte);
      out_.class_of_[byte] = static_cast<std::uint8_t>(out_.classes_ - 1);
    }
  }

  const StateGraph& graph_;
  EdgeIndex<StateGraph::ByteEdge, &StateGraph::ByteEdge::from> bytes_;
  EdgeIndex<StateGraph::CallEdge, &StateGraph::CallEdge::from> calls_;
  EdgeIndex<StateGraph::EmptyEdge, &StateGraph::EmptyEdge::from> empties_;
  std::vector<State> target_, number_, order_;
  Automaton out_;
};

Automaton Automaton::compile(const Rules& rules, CompileLimits limits) {
  StateGraph graph = build_states(rules, limits);
  const bool empty = make_calls_consume(graph, rules.root);
  const std::vector<std::uint32_t> ranks = remove_left_recursion(graph);
  Automaton result = Freezer(graph)(rules.root, ranks);
  result.accepts_nothing_ = empty;
  return result;
}

}  // namespace medlar::grammar
