// The compiled grammar: an automaton over bytes whose edges may also call rules. Immutable.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "text/grammar/rules.h"
#include "text/grammar/state_graph.h"

namespace medlar::grammar {

// A recursive transition network (Woods 1970) in a form that can be run byte by byte without search:
// every call reads at least one byte, no rule calls itself before it has read one, and an end can be reached
// from every state.
class Automaton {
 public:
  struct ByteEdge {
    ByteRange bytes;
    State to = 0;
  };
  struct CallEdge {
    RuleId rule = 0;
    State back = 0;
  };
  struct Rule {
    std::uint32_t rank = 0;  // a rule calls only higher ranks before it reads a byte
    State start = 0;
  };
  using Twin = StateGraph::Twin;

  // Throws Error(limit) when a limit is reached, Error(usage) when the grammar allows no text at all.
  static Automaton compile(const Rules& rules, CompileLimits limits = {});

  std::size_t size() const { return final_.size(); }
  std::span<const ByteEdge> bytes(State s) const { return list(bytes_, byte_begin_, s); }
  std::span<const CallEdge> calls(State s) const { return list(calls_, call_begin_, s); }
  std::span<const State> empties(State s) const { return list(empties_, empty_begin_, s); }
  bool final(State s) const { return final_[s]; }
  // Whether the state has edges that are not empty.
  bool reads(State s) const { return !bytes(s).empty() || !calls(s).empty(); }
  // Whether nothing more can be read before the rule's end.
  bool at_end(State s) const { return at_end_[s]; }
  Twin twin(State s) const { return twins_[s]; }

  const Rule& rule(RuleId r) const { return rules_[r]; }
  // The states with edges that a rule starts in.
  std::span<const State> entries(RuleId r) const { return list(entries_, entry_begin_, r); }
  std::size_t rules() const { return rules_.size(); }
  RuleId root() const { return root_; }
  bool accepts_nothing() const { return accepts_nothing_; }  // whether the empty text is one of the grammar's

  // Bytes of one class lead to the same states everywhere.
  std::uint32_t classes() const { return classes_; }
  std::uint32_t byte_class(std::uint8_t byte) const { return class_of_[byte]; }
  std::uint8_t class_byte(std::uint32_t c) const { return example_[c]; }

 private:
  friend class Freezer;
  template <class T>
  static std::span<const T> list(const std::vector<T>& items, const std::vector<std::uint32_t>& begin,
                                 std::size_t i) {
    return {items.data() + begin[i], items.data() + begin[i + 1]};
  }

  std::vector<ByteEdge> bytes_;
  std::vector<CallEdge> calls_;
  std::vector<State> empties_, entries_;
  std::vector<std::uint32_t> byte_begin_, call_begin_, empty_begin_, entry_begin_;
  std::vector<bool> final_, at_end_;
  std::vector<Twin> twins_;
  std::vector<Rule> rules_;
  RuleId root_ = 0;
  bool accepts_nothing_ = false;
  std::array<std::uint8_t, 256> class_of_{}, example_{};
  std::uint32_t classes_ = 0;
};

}  // namespace medlar::grammar
