// One step: bytes, then ends of calls, then new calls, each kind until nothing is left.
#include "text/grammar/machine.h"

#include <algorithm>
#include <functional>

#include "base/error.h"

namespace medlar::grammar {
namespace {

// Sets of up to this many items are searched one by one.
constexpr std::size_t kFew = 16;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15u;  // Knuth's multiplicative hash, 2^64 / golden ratio
  return hash ^ (hash >> 29);
}

template <class T>
std::uint64_t pair_hash(std::span<const T> pairs) {
  std::uint64_t hash = pairs.size();
  for (const auto& [a, b] : pairs) hash = mix(hash, (std::uint64_t{a} << 32) | b);
  return hash;
}

// The number with this hash and content, or `none`.
template <class Map, class Equal, class Next>
std::uint32_t find(const Map& map, std::uint64_t hash, Equal&& equal, Next&& next) {
  const auto it = map.find(hash);
  std::uint32_t id = it == map.end() ? ~std::uint32_t{0} : it->second;
  while (id != ~std::uint32_t{0} && !equal(id)) id = next(id);
  return id;
}

}  // namespace

Machine::Machine(const Automaton& automaton, MachineLimits limits)
    : automaton_(automaton), limits_(limits), classes_(automaton.classes()) {
  clear();
}

void Machine::clear() {
  configs_.clear(), items_.clear(), active_.clear(), next_.clear();
  stacks_.clear(), frames_.clear();
  config_by_hash_.clear(), stack_by_hash_.clear();
  work_ = 0;
  new_frames_.assign(1, {done(), kBase});
  intern_stack(new_frames_);
  intern({});  // kDead
  reached_.clear();
  // The root's rule has been called from outside; it may also be left without reading anything.
  for (const State s : automaton_.entries(automaton_.root())) reached_.push_back({s, kBase});
  if (automaton_.accepts_nothing()) reached_.push_back({done(), kBase});
  std::ranges::sort(reached_);
  start_ = intern(std::vector<Item>(reached_));
}

Config Machine::compute(Config c, std::uint32_t byte_class) {
  const std::uint8_t byte = automaton_.class_byte(byte_class);
  const ConfigInfo info = configs_[c];
  reached_.clear(), visited_.clear(), many_visited_.clear();
  work_ = 0;
  for (std::uint32_t i = 0; i < info.active_count; ++i) {
    const Item item = active_[info.active + i];
    for (const auto& e : automaton_.bytes(item.state))
      if (e.bytes.first <= byte && byte <= e.bytes.last) reach(e.to, item.stack);
  }
  finish_reach();
  const Config next = reached_.empty() ? kDead : intern(reached_);
  next_[std::size_t{c} * classes_ + byte_class] = next;
  return next;
}

Config Machine::below(Stack stack) {
  reached_.clear(), visited_.clear(), many_visited_.clear();
  work_ = 0;
  const std::vector<Frame> copy(frames(stack).begin(), frames(stack).end());
  for (const Frame& f : copy) reach(f.back, f.below);
  finish_reach();
  return intern(reached_);
}

// Adds what can be reached from here without reading: over empty edges, and out of calls that are at their
// end.
void Machine::reach(State state, Stack stack) {
  todo_.assign(1, {state, stack});
  while (!todo_.empty()) {
    const Item item = todo_.back();
    todo_.pop_back();
    if (!first_visit(item)) continue;
    if (item.state == done()) {
      reached_.push_back(item);
      continue;
    }
    if (automaton_.reads(item.state)) reached_.push_back(item);
    for (const State to : automaton_.empties(item.state)) todo_.push_back({to, item.stack});
    if (automaton_.final(item.state))
      for (const Frame& f : frames(item.stack)) todo_.push_back({f.back, f.below});
  }
}

bool Machine::first_visit(Item item) {
  if (visited_.size() < kFew) {
    if (std::ranges::find(visited_, item) != visited_.end()) return false;
    visited_.push_back(item);
    return true;
  }
  const auto key = [](Item i) { return (std::uint64_t{i.state} << 32) | i.stack; };
  if (many_visited_.empty())
    for (const Item& i : visited_) many_visited_.insert(key(i));
  spend(1);
  return many_visited_.insert(key(item)).second;
}

// Counts the frames and items of one step.
void Machine::spend(std::size_t work) {
  work_ += work;
  if (work_ > limits_.readings)
    throw Error(ErrorKind::limit,
                fmt::format("the grammar can read this text in more than {} ways at once", limits_.readings),
                "make its alternatives begin differently");
}

// Orders what was reached and makes one item of those that differ only in their stacks.
void Machine::finish_reach() {
  std::ranges::sort(reached_);
  std::size_t n = 0;
  for (std::size_t i = 0; i < reached_.size();) {
    std::size_t end = i + 1;
    while (end < reached_.size() && reached_[end].state == reached_[i].state) ++end;
    Item item = reached_[i];
    if (end - i > 1) {
      new_frames_.clear();
      for (std::size_t j = i; j < end; ++j) {
        const auto f = frames(reached_[j].stack);
        new_frames_.insert(new_frames_.end(), f.begin(), f.end());
      }
      spend(new_frames_.size());
      item.stack = intern_stack(new_frames_);
    }
    reached_[n++] = item;
    i = end;
  }
  reached_.resize(n);
}

Config Machine::intern(std::span<const Item> items) {
  const std::uint64_t hash = pair_hash(items);
  const Config known = find(
      config_by_hash_, hash, [&](Config c) { return std::ranges::equal(this->items(c), items); },
      [&](Config c) { return configs_[c].same_hash; });
  if (known != kUnknown) return known;
  check_memory();
  const auto id = static_cast<Config>(configs_.size());
  ConfigInfo info;
  info.items = static_cast<std::uint32_t>(items_.size());
  info.item_count = static_cast<std::uint32_t>(items.size());
  info.complete = !items.empty() && items.back().state == done();
  items_.insert(items_.end(), items.begin(), items.end());
  info.active = static_cast<std::uint32_t>(active_.size());
  activate(std::vector<Item>(items.begin(), items.end()));
  info.active_count = static_cast<std::uint32_t>(active_.size()) - info.active;
  if (const auto it = config_by_hash_.find(hash); it != config_by_hash_.end()) info.same_hash = it->second;
  config_by_hash_[hash] = id;
  configs_.push_back(info);
  next_.resize(next_.size() + classes_, kUnknown);
  return id;
}

// Appends the items that have byte edges, and what the items call, to active_. Calls are made in the order of
// their ranks: all callers of a rule are known before it is entered, so each rule is entered once.
void Machine::activate(std::span<const Item> items) {
  pending_.clear();
  const auto add = [&](State state, Stack stack) {
    if (!automaton_.bytes(state).empty()) active_.push_back({state, stack});
    call(state, stack);
  };
  for (const Item& item : items)
    if (item.state != done()) add(item.state, item.stack);
  while (!pending_.empty()) {
    const PendingCall first = pending_.front();
    new_frames_.clear();
    while (!pending_.empty() && pending_.front().rule == first.rule) {
      new_frames_.push_back(pending_.front().frame);
      std::ranges::pop_heap(pending_, std::greater<>());
      pending_.pop_back();
    }
    spend(new_frames_.size());
    const Stack stack = intern_stack(new_frames_);
    if (stacks_[stack].depth > limits_.depth) continue;
    for (const State entry : automaton_.entries(first.rule)) add(entry, stack);
  }
}

// A call with nothing behind it needs no frame: its end is its caller's end.
void Machine::call(State state, Stack stack) {
  for (const auto& c : automaton_.calls(state)) {
    const std::uint32_t rank = automaton_.rule(c.rule).rank;
    const auto push = [&](Frame frame) {
      pending_.push_back({rank, c.rule, frame});
      std::ranges::push_heap(pending_, std::greater<>());
    };
    if (automaton_.at_end(c.back)) {
      for (const Frame& f : frames(stack)) push(f);
    } else {
      push({c.back, stack});
    }
  }
}

Stack Machine::intern_stack(std::vector<Frame>& list) {
  std::ranges::sort(list);
  list.erase(std::ranges::unique(list).begin(), list.end());
  const std::uint64_t hash = pair_hash(std::span<const Frame>(list));
  const Stack known = find(
      stack_by_hash_, hash, [&](Stack s) { return std::ranges::equal(frames(s), list); },
      [&](Stack s) { return stacks_[s].same_hash; });
  if (known != kUnknown) return known;
  const auto id = static_cast<Stack>(stacks_.size());
  StackInfo info;
  info.frames = static_cast<std::uint32_t>(frames_.size());
  info.count = static_cast<std::uint32_t>(list.size());
  for (const Frame& f : list)
    if (id != kBase) info.depth = std::max(info.depth, stacks_[f.below].depth + 1);
  frames_.insert(frames_.end(), list.begin(), list.end());
  if (const auto it = stack_by_hash_.find(hash); it != stack_by_hash_.end()) info.same_hash = it->second;
  stack_by_hash_[hash] = id;
  stacks_.push_back(info);
  return id;
}

std::size_t Machine::bytes_used() const {
  return configs_.size() * (sizeof(ConfigInfo) + 24) + (items_.size() + active_.size()) * sizeof(Item) +
         next_.size() * sizeof(Config) + stacks_.size() * (sizeof(StackInfo) + 24) +
         frames_.size() * sizeof(Frame);
}

void Machine::check_memory() const {
  if (bytes_used() > limits_.bytes)
    throw Error(ErrorKind::limit,
                fmt::format("the grammar needs more than {} MB to run", limits_.bytes >> 20),
                "make its alternatives begin differently, or its lists shorter");
}

}  // namespace medlar::grammar
