// Runs an automaton: interned configurations, and the transitions between them as they are found.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "text/grammar/automaton.h"

namespace medlar::grammar {

using Stack = std::uint32_t;
using Config = std::uint32_t;

struct MachineLimits {
  std::uint32_t depth = 4000;       // calls inside each other; a byte that would need more is refused
  std::uint32_t readings = 50'000;  // ways at once to read the text so far
  std::size_t bytes = std::size_t{256} << 20;  // memory; more is an error
  std::size_t trim = std::size_t{64} << 20;    // memory at which a constraint begins afresh
};

// A configuration is everything that can follow a text: a set of (state, stack). A stack is a set of frames
// (where to go on after the call, the stack below), so stacks that differ only below are one, and ambiguous
// grammars take polynomial time (a graph-structured stack, Tomita 1985). Configurations and stacks are
// interned: equal ones have equal numbers, so the transitions that a text uses become a table (a lazy DFA
// over configurations).
//
// Numbers are valid until clear(). Members throw Error(limit) when a limit is reached.
class Machine {
 public:
  struct Item {
    State state = 0;
    Stack stack = 0;
    auto operator<=>(const Item&) const = default;
  };
  struct Frame {
    State back = 0;
    Stack below = 0;
    auto operator<=>(const Frame&) const = default;
  };
  static constexpr Config kDead = 0;  // nothing can follow
  static constexpr Stack kBase = 0;   // its only frame is {done(), kBase}

  // `automaton` must outlive the machine.
  explicit Machine(const Automaton& automaton, MachineLimits limits = {});

  // The state that says: what was called on an empty stack has been read.
  State done() const { return static_cast<State>(automaton_.size()); }

  Config start() const { return start_; }
  // After one more byte.
  Config step(Config c, std::uint8_t byte) {
    const Config next = next_[std::size_t{c} * classes_ + class_of(byte)];
    return next != kUnknown ? next : compute(c, class_of(byte));
  }
  // Whether the text may end here.
  bool complete(Config c) const { return configs_[c].complete; }

  // Ordered by state, each state once; done() last.
  std::span<const Item> items(Config c) const {
    return {items_.data() + configs_[c].items, configs_[c].item_count};
  }
  // `items` in order, each state once.
  Config intern(std::span<const Item> items);
  // What follows the end of the call on top of `stack`.
  Config below(Stack stack);

  std::size_t bytes_used() const;
  void clear();

 private:
  static constexpr Config kUnknown = ~Config{0};
  struct ConfigInfo {
    std::uint32_t items = 0, item_count = 0;
    std::uint32_t active = 0, active_count = 0;  // items and what they call, as far as they have byte edges
    bool complete = false;
    Config same_hash = kUnknown;
  };
  struct StackInfo {
    std::uint32_t frames = 0, count = 0, depth = 0;
    Stack same_hash = ~Stack{0};
  };
  struct PendingCall {
    std::uint32_t rank = 0;
    RuleId rule = 0;
    Frame frame;
    auto operator<=>(const PendingCall&) const = default;
  };

  std::uint32_t class_of(std::uint8_t byte) const { return automaton_.byte_class(byte); }
  std::span<const Frame> frames(Stack s) const {
    return {frames_.data() + stacks_[s].frames, stacks_[s].count};
  }
  Config compute(Config c, std::uint32_t byte_class);
  void reach(State state, Stack stack);
  bool first_visit(Item item);
  void finish_reach();
  void spend(std::size_t work);
  void activate(std::span<const Item> items);
  void call(State state, Stack stack);
  Stack intern_stack(std::vector<Frame>& frames);
  void check_memory() const;

  const Automaton& automaton_;
  MachineLimits limits_;
  std::uint32_t classes_;
  Config start_ = kDead;

  std::vector<ConfigInfo> configs_;
  std::vector<Item> items_, active_;
  std::vector<Config> next_;  // (configs, classes)
  std::vector<StackInfo> stacks_;
  std::vector<Frame> frames_;
  boost::unordered_flat_map<std::uint64_t, Config> config_by_hash_;
  boost::unordered_flat_map<std::uint64_t, Stack> stack_by_hash_;

  // Scratch of one step.
  std::vector<Item> reached_, todo_, visited_;
  boost::unordered_flat_set<std::uint64_t> many_visited_;
  std::vector<PendingCall> pending_;
  std::vector<Frame> new_frames_;
  std::size_t work_ = 0;
};

}  // namespace medlar::grammar
