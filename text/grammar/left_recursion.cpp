// Left recursion, solved like a system of left-linear equations.
//
// Rules that call each other before they read anything form groups. In such a group every rule is a sum
// A_i = B_i | A_1 C_1i | A_2 C_2i | ..., so a text of A_i is a text of some B_j followed by links: after a
// text of A_j, any C_jk makes it a text of A_k. That is an automaton: the texts B_j, a state "now it is an
// A_j" for each j, and the C_jk between them.
#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "text/grammar/state_graph.h"

namespace medlar::grammar {
namespace {

using ByteEdge = StateGraph::ByteEdge;
using CallEdge = StateGraph::CallEdge;
using EmptyEdge = StateGraph::EmptyEdge;

class Remover {
 public:
  explicit Remover(StateGraph& graph)
      : graph_(graph),
        old_(graph),
        bytes_(old_.byte_edges, old_.size()),
        calls_(old_.call_edges, old_.size()),
        empties_(old_.empty_edges, old_.size()) {}

  std::vector<std::uint32_t> operator()() {
    find_left_calls();
    const std::vector<std::vector<RuleId>> groups = components();
    // Components come callees first.
    std::vector<std::uint32_t> ranks(old_.starts.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
      for (const RuleId r : groups[g]) ranks[r] = static_cast<std::uint32_t>(groups.size() - g);
      const RuleId first = groups[g][0];
      if (groups[g].size() > 1 || std::ranges::find(left_calls_[first], first) != left_calls_[first].end())
        rewrite(groups[g]);
    }
    return ranks;
  }

 private:
  // What empty edges reach from `start`, itself included.
  std::vector<State> reach_empty(State start) const {
    std::vector<State> reached{start};
    std::vector<bool>& seen = seen_;
    seen.resize(old_.size());
    seen[start] = true;
    for (std::size_t i = 0; i < reached.size(); ++i)
      empties_.each(reached[i], [&](const EmptyEdge& e) {
        if (!seen[e.to]) seen[e.to] = true, reached.push_back(e.to);
      });
    for (const State s : reached) seen[s] = false;
    return reached;
  }

  // What a rule reaches without its calls' own states.
  std::vector<State> reach_within(State start) const {
    std::vector<State> reached{start};
    std::vector<bool>& seen = seen_;
    seen.resize(old_.size());
    seen[start] = true;
    const auto visit = [&](const auto& e) {
      if (!seen[e.to]) seen[e.to] = true, reached.push_back(e.to);
    };
    for (std::size_t i = 0; i < reached.size(); ++i) {
      bytes_.each(reached[i], visit);
      calls_.each(reached[i], visit);
      empties_.each(reached[i], visit);
    }
    for (const State s : reached) seen[s] = false;
    return reached;
  }

  void find_left_calls() {
    left_calls_.resize(old_.starts.size());
    for (RuleId r = 0; r < old_.starts.size(); ++r) {
      auto& calls = left_calls_[r];
      for (const State s : reach_empty(old_.starts[r]))
        calls_.each(s, [&](const CallEdge& c) { calls.push_back(c.rule); });
      std::ranges::sort(calls);
      calls.erase(std::ranges::unique(calls).begin(), calls.end());
    }
  }

  // Strongly connected components of the left calls (Tarjan 1972), without recursion.
  std::vector<std::vector<RuleId>> components() const {
    constexpr std::uint32_t kUnseen = ~std::uint32_t{0};
    const std::size_t n = left_calls_.size();
    std::vector<std::uint32_t> index(n, kUnseen), low(n), next(n);
    std::vector<bool> open(n);
    std::vector<RuleId> stack, path;
    std::vector<std::vector<RuleId>> result;
    std::uint32_t count = 0;
    const auto enter = [&](RuleId r) {
      index[r] = low[r] = count++;
      open[r] = true;
      stack.push_back(r);
      path.push_back(r);
    };
    for (RuleId root = 0; root < n; ++root) {
      if (index[root] == kUnseen) enter(root);
      while (!path.empty()) {
        const RuleId r = path.back();
        if (next[r] < left_calls_[r].size()) {
          const RuleId to = left_calls_[r][next[r]++];
          if (index[to] == kUnseen) {
            enter(to);
          } else if (open[to]) {
            low[r] = std::min(low[r], index[to]);
          }
          continue;
        }
        path.pop_back();
        if (!path.empty()) low[path.back()] = std::min(low[path.back()], low[r]);
        if (low[r] != index[r]) continue;
        auto& group = result.emplace_back();
        do {
          group.push_back(stack.back());
          open[stack.back()] = false;
          stack.pop_back();
        } while (group.back() != r);
      }
    }
    return result;
  }

  void rewrite(const std::vector<RuleId>& group) {
    in_group_.assign(old_.starts.size(), false);
    for (const RuleId r : group) in_group_[r] = true;
    std::vector<State> starts;
    for (const RuleId r : group) starts.push_back(rewritten(group, r));
    for (std::size_t i = 0; i < group.size(); ++i) graph_.starts[group[i]] = starts[i];
  }

  // The automaton of A_i, i = `target`. Returns its start.
  State rewritten(const std::vector<RuleId>& group, RuleId target) {
    const State start = graph_.add_state();
    std::unordered_map<RuleId, State> done;  // "now it is an A_j"
    for (const RuleId r : group) done[r] = graph_.add_state();
    graph_.final[done[target]] = true;
    for (const RuleId r : group) {
      std::unordered_map<State, State> copy;
      const std::vector<State> states = reach_within(old_.starts[r]);
      for (const State s : states) copy[s] = graph_.add_state();
      for (const State s : states) copy_edges(s, copy, done[r]);
      for (const State s : reach_empty(old_.starts[r])) copy_beginnings(s, start, copy, done);
    }
    return start;
  }

  void copy_edges(State s, const std::unordered_map<State, State>& copy, State done) {
    const State from = copy.at(s);
    bytes_.each(s, [&](const ByteEdge& e) { graph_.add_bytes(from, e.bytes, copy.at(e.to)); });
    calls_.each(s, [&](const CallEdge& e) { graph_.add_call(from, e.rule, copy.at(e.to)); });
    empties_.each(s, [&](const EmptyEdge& e) { graph_.add_empty(from, copy.at(e.to)); });
    if (old_.final[s]) graph_.add_empty(from, done);
    const StateGraph::Twin twin = old_.twins[s];
    if (const auto t = copy.find(twin.state); t != copy.end()) graph_.twins[from] = {t->second, twin.bytes};
  }

  // What begins a rule: a byte or a call of another group begins a text of B_j; a call within it is a link.
  void copy_beginnings(State s, State start, const std::unordered_map<State, State>& copy,
                       const std::unordered_map<RuleId, State>& done) {
    bytes_.each(s, [&](const ByteEdge& e) { graph_.add_bytes(start, e.bytes, copy.at(e.to)); });
    calls_.each(s, [&](const CallEdge& e) {
      if (in_group_[e.rule]) {
        graph_.add_empty(done.at(e.rule), copy.at(e.to));
      } else {
        graph_.add_call(start, e.rule, copy.at(e.to));
      }
    });
  }

  StateGraph& graph_;
  const StateGraph old_;
  EdgeIndex<ByteEdge, &ByteEdge::from> bytes_;
  EdgeIndex<CallEdge, &CallEdge::from> calls_;
  EdgeIndex<EmptyEdge, &EmptyEdge::from> empties_;
  std::vector<std::vector<RuleId>> left_calls_;
  std::vector<bool> in_group_;
  mutable std::vector<bool> seen_;  // all false between calls
};

}  // namespace

std::vector<std::uint32_t> remove_left_recursion(StateGraph& graph) { return Remover(graph)(); }

}  // namespace medlar::grammar
