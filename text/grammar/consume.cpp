// Every call reads something, and every edge leads to an end.
#include <utility>

#include "base/error.h"
#include "text/grammar/state_graph.h"

namespace medlar::grammar {
namespace {

using ByteEdge = StateGraph::ByteEdge;
using CallEdge = StateGraph::CallEdge;
using EmptyEdge = StateGraph::EmptyEdge;

// Facts that spread from the ends of the rules backwards along the edges.
class Backward {
 public:
  explicit Backward(const StateGraph& graph)
      : graph_(graph),
        bytes_(graph.byte_edges, graph.size()),
        calls_(graph.call_edges, graph.size()),
        empties_(graph.empty_edges, graph.size()),
        rule_of_start_(graph.size(), kNoRule),
        callers_(graph.starts.size()) {
    for (RuleId r = 0; r < graph.starts.size(); ++r) rule_of_start_[graph.starts[r]] = r;
    for (const CallEdge& c : graph.call_edges) callers_[c.rule].push_back(c);
  }

  // Which rules can read nothing.
  std::vector<bool> empty_rules() {
    std::vector<bool> rules(graph_.starts.size()), states(graph_.size());
    std::vector<State> todo;
    const auto mark = [&](State s) {
      if (states[s]) return;
      states[s] = true;
      todo.push_back(s);
    };
    for (State s = 0; s < graph_.size(); ++s)
      if (graph_.final[s]) mark(s);
    while (!todo.empty()) {
      const State s = take(todo);
      empties_.each(s, [&](const EmptyEdge& e) { mark(e.from); });
      calls_.each(s, [&](const CallEdge& c) {
        if (rules[c.rule]) mark(c.from);
      });
      const RuleId rule = rule_of_start_[s];
      if (rule == kNoRule) continue;
      rules[rule] = true;
      for (const CallEdge& c : callers_[rule])
        if (states[c.to]) mark(c.from);
    }
    return rules;
  }

  struct Alive {
    std::vector<bool> states;     // an end can be reached
    std::vector<bool> consuming;  // and something read on the way
    std::vector<bool> rules;      // whose start is consuming
  };
  Alive alive() {
    Alive a{std::vector<bool>(graph_.size()), std::vector<bool>(graph_.size()),
            std::vector<bool>(graph_.starts.size())};
    std::vector<std::pair<State, bool>> todo;  // state, consuming
    const auto mark = [&](State s, bool consuming) {
      if (!a.states[s]) a.states[s] = true, todo.emplace_back(s, false);
      if (consuming && !a.consuming[s]) a.consuming[s] = true, todo.emplace_back(s, true);
    };
    for (State s = 0; s < graph_.size(); ++s)
      if (graph_.final[s]) mark(s, false);
    while (!todo.empty()) {
      const auto [s, consuming] = take(todo);
      empties_.each(s, [&, c = consuming](const EmptyEdge& e) { mark(e.from, c); });
      bytes_.each(s, [&](const ByteEdge& e) { mark(e.from, true); });
      calls_.each(s, [&](const CallEdge& c) {
        if (a.rules[c.rule]) mark(c.from, true);
      });
      const RuleId rule = rule_of_start_[s];
      if (!consuming || rule == kNoRule) continue;
      a.rules[rule] = true;
      for (const CallEdge& c : callers_[rule])
        if (a.states[c.to]) mark(c.from, true);
    }
    return a;
  }

 private:
  static constexpr RuleId kNoRule = ~RuleId{0};

  template <class T>
  static T take(std::vector<T>& todo) {
    const T last = todo.back();
    todo.pop_back();
    return last;
  }

  const StateGraph& graph_;
  EdgeIndex<ByteEdge, &ByteEdge::to> bytes_;
  EdgeIndex<CallEdge, &CallEdge::to> calls_;
  EdgeIndex<EmptyEdge, &EmptyEdge::to> empties_;
  std::vector<RuleId> rule_of_start_;
  std::vector<std::vector<CallEdge>> callers_;
};

}  // namespace

bool make_calls_consume(StateGraph& graph, RuleId root) {
  const std::vector<bool> empty = Backward(graph).empty_rules();
  for (std::size_t i = 0; i < graph.call_edges.size(); ++i) {
    const CallEdge c = graph.call_edges[i];
    if (empty[c.rule]) graph.add_empty(c.from, c.to);
  }
  const auto alive = Backward(graph).alive();
  if (!alive.rules[root] && !empty[root])
    throw Error(ErrorKind::usage, "the grammar allows no text at all",
                "check for rules that only call themselves and for conditions that exclude each other");
  std::erase_if(graph.byte_edges, [&](const ByteEdge& e) { return !alive.states[e.to]; });
  std::erase_if(graph.empty_edges, [&](const EmptyEdge& e) { return !alive.states[e.to]; });
  std::erase_if(graph.call_edges,
                [&](const CallEdge& e) { return !alive.states[e.to] || !alive.rules[e.rule]; });
  return empty[root];
}

}  // namespace medlar::grammar
