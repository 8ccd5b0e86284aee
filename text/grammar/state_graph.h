// The automaton while it is being built: states of all rules, with edges in plain lists.
#pragma once

#include <cstdint>
#include <vector>

#include "text/grammar/rules.h"

namespace medlar::grammar {

using State = std::uint32_t;

// Of one compilation; reaching one is Error(limit).
struct CompileLimits {
  std::uint32_t states = 1'000'000;
  std::uint32_t edges = 4'000'000;
};

// Every rule has one start state, which no edge leads to, and any number of final states. A call edge reads
// one text of its rule, then goes on at `to`.
class StateGraph {
 public:
  struct ByteEdge {
    State from = 0, to = 0;
    ByteRange bytes;
  };
  struct CallEdge {
    State from = 0, to = 0;
    RuleId rule = 0;
  };
  struct EmptyEdge {
    State from = 0, to = 0;
  };

  // A state that reads like another one, as long as fewer than `bytes` + 1 bytes are read: a late copy in a
  // counted repetition behaves like the first copy until the count is near its end.
  struct Twin {
    State state = 0;
    std::uint32_t bytes = 0;
  };

  explicit StateGraph(CompileLimits limits) : limits_(limits) {}

  State add_state();
  void add_bytes(State from, ByteRange bytes, State to) { byte_edges.push_back({from, to, bytes}), check(); }
  void add_call(State from, RuleId rule, State to) { call_edges.push_back({from, to, rule}), check(); }
  void add_empty(State from, State to) { empty_edges.push_back({from, to}), check(); }

  State size() const { return static_cast<State>(final.size()); }

  std::vector<ByteEdge> byte_edges;
  std::vector<CallEdge> call_edges;
  std::vector<EmptyEdge> empty_edges;
  std::vector<bool> final;
  std::vector<Twin> twins;    // one a state; itself where it has no other
  std::vector<State> starts;  // one a rule

 private:
  void check() const;

  CompileLimits limits_;
};

// Edges by the state that they leave or enter.
template <class Edge, State Edge::* Key>
class EdgeIndex {
 public:
  EdgeIndex(const std::vector<Edge>& edges, State states) : edges_(&edges), begin_(states + std::size_t{1}) {
    for (const Edge& e : edges) ++begin_[e.*Key + std::size_t{1}];
    for (std::size_t i = 1; i < begin_.size(); ++i) begin_[i] += begin_[i - 1];
    order_.resize(edges.size());
    std::vector<std::uint32_t> next(begin_.begin(), begin_.end() - 1);
    for (std::uint32_t i = 0; i < edges.size(); ++i) order_[next[edges[i].*Key]++] = i;
  }

  template <class Visit>
  void each(State state, Visit&& visit) const {
    for (std::uint32_t i = begin_[state]; i < begin_[state + std::size_t{1}]; ++i)
      visit((*edges_)[order_[i]]);
  }
  std::uint32_t count(State state) const { return begin_[state + std::size_t{1}] - begin_[state]; }

 private:
  const std::vector<Edge>* edges_;
  std::vector<std::uint32_t> begin_, order_;
};

// Thompson's construction: every rule as states and edges.
StateGraph build_states(const Rules& rules, CompileLimits limits);

// Makes every call read at least one byte: where a rule can read nothing, an empty edge stands beside the
// call, and a rule's start no longer counts as its end. Drops edges from which no end can be reached. Returns
// whether the root can read nothing. Throws Error(usage) when the root can read no text at all.
bool make_calls_consume(StateGraph& graph, RuleId root);

// After make_calls_consume: rewrites rules that call themselves before they read anything, directly or
// through others. Returns a rank for every rule, such that a rule calls only higher ranks before it reads a
// byte.
std::vector<std::uint32_t> remove_left_recursion(StateGraph& graph);

}  // namespace medlar::grammar
