// Thompson's construction over characters, then the subset construction; anchors are edges with a condition.
#include "text/grammar/regex.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "text/grammar/char_classes.h"
#include "text/grammar/gbnf.h"
#include "text/unicode.h"

namespace medlar::grammar {
namespace {

constexpr std::size_t kMaxNfaStates = 100'000;
constexpr std::size_t kMaxSteps = 40'000'000;  // of the subset construction

using Id = std::uint32_t;

// Nodes of the parsed pattern.
struct Node {
  enum class Kind { set, sequence, choice, repeat, start, end } kind = Kind::sequence;
  CharSet set;
  std::vector<Id> parts;
  RepeatCount count;
};

class Parser {
 public:
  explicit Parser(std::string_view pattern) : source_(pattern) {}

  std::vector<Node> nodes;

  Id operator()() {
    const Id root = alternatives(0);
    if (at_ < source_.size()) error("a ) without its (");
    return root;
  }

 private:
  [[noreturn]] void error(const std::string& message, ErrorKind kind = ErrorKind::usage,
                          std::string hint = {}) const {
    throw Error(kind, fmt::format("pattern, character {}: {}", at_ + 1, message), std::move(hint));
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    error(what + " is not supported", ErrorKind::unsupported, "write the pattern without it");
  }

  Id add(Node node) {
    nodes.push_back(std::move(node));
    return static_cast<Id>(nodes.size() - 1);
  }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  bool take(std::string_view text) {
    if (!source_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  Id alternatives(int depth) {
    if (depth > kMaxNesting) error("groups are nested too deep", ErrorKind::limit);
    Node choice{.kind = Node::Kind::choice, .set = {}, .parts = {}, .count = {}};
    do choice.parts.push_back(sequence(depth));
    while (take("|"));
    return choice.parts.size() == 1 ? choice.parts[0] : add(std::move(choice));
  }

  Id sequence(int depth) {
    Node result;
    while (at_ < source_.size() && peek() != '|' && peek() != ')') {
      Id part = atom(depth);
      if (const auto count = suffix()) {
        if (nodes[part].kind == Node::Kind::start || nodes[part].kind == Node::Kind::end)
          error("nothing stands before the quantifier");
        part = add({Node::Kind::repeat, {}, {part}, *count});
        if (suffix()) error("two quantifiers in a row");
      }
      result.parts.push_back(part);
    }
    return result.parts.size() == 1 ? result.parts[0] : add(std::move(result));
  }

  Id set(CharSet s) { return add({Node::Kind::set, std::move(s), {}, {}}); }

  Id atom(int depth) {
    switch (peek()) {
      case '(':
        return group(depth);
      case '[':
        return ++at_, set(char_class());
      case '.':
        return ++at_, set(CharSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).complement());
      case '^':
        return ++at_, add({Node::Kind::start, {}, {}, {}});
      case '$':
        return ++at_, add({Node::Kind::end, {}, {}, {}});
      case '*':
      case '+':
      case '?':
        error("nothing stands before the quantifier");
      default:
        break;
    }
    if (peek() == '{' && quantifier_follows()) error("nothing stands before the quantifier");
    if (peek() == '\\') {
      if (peek(1) == 'b' || peek(1) == 'B') unsupported("a word boundary");
      if ((peek(1) >= '1' && peek(1) <= '9') || peek(1) == 'k') unsupported("a back reference");
      if (auto shorthand = class_escape()) return set(std::move(*shorthand));
    }
    const char32_t c = character();
    return set({{c, c}});
  }

  Id group(int depth) {
    ++at_;
    if (take("?")) {
      if (peek() == '=' || peek() == '!' || (peek() == '<' && (peek(1) == '=' || peek(1) == '!')))
        unsupported("looking ahead or behind");
      if (take("<")) {
        while (at_ < source_.size() && peek() != '>') ++at_;
        if (!take(">")) error("a group's name without its >");
      } else if (!take(":")) {
        unsupported("this kind of group");
      }
    }
    const Id inner = alternatives(depth + 1);
    if (!take(")")) error("a ( without its )");
    return inner;
  }

  bool quantifier_follows() const {
    std::size_t i = at_ + 1;
    const auto digits = [&] {
      const std::size_t begin = i;
      while (i < source_.size() && source_[i] >= '0' && source_[i] <= '9') ++i;
      return i > begin;
    };
    if (!digits()) return false;
    if (i < source_.size() && source_[i] == ',') {
      ++i;
      digits();
    }
    return i < source_.size() && source_[i] == '}';
  }

  // A quantifier; whether it is lazy does not change which texts match.
  std::optional<RepeatCount> suffix() {
    RepeatCount count;
    if (take("*")) {
    } else if (take("+")) {
      count.min = 1;
    } else if (take("?")) {
      count.max = 1;
    } else if (peek() == '{' && quantifier_follows()) {
      ++at_;
      count.min = count.max = number();
      if (take(",")) count.max = peek() == '}' ? kUnbounded : number();
      ++at_;
      if (count.max < count.min) error("the quantifier's limits are the wrong way round");
    } else {
      return std::nullopt;
    }
    if (!take("?") && peek() == '+') unsupported("a possessive quantifier");
    return count;
  }

  std::uint32_t number() {
    std::uint32_t value = 0;
    const auto [stop, status] = std::from_chars(source_.data() + at_, source_.data() + source_.size(), value);
    if (status != std::errc() || value > kMaxRepeat)
      error(fmt::format("more than {} repetitions", kMaxRepeat), ErrorKind::limit, "use * or + instead");
    at_ = static_cast<std::size_t>(stop - source_.data());
    return value;
  }

  CharSet char_class() {
    CharSet result;
    const bool negated = take("^");
    while (peek() != ']') {
      if (at_ >= source_.size()) error("a [ without its ]");
      if (auto shorthand = class_escape()) {
        if (peek() == '-' && peek(1) != ']') error("a class cannot be the end of a range");
        result.add(*shorthand);
        continue;
      }
      const char32_t first = class_character();
      char32_t last = first;
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < source_.size()) {
        ++at_;
        if (class_escape()) error("a class cannot be the end of a range");
        last = class_character();
        if (last < first) error("the range's ends are the wrong way round");
      }
      result.add(first, last);
    }
    ++at_;
    return negated ? result.complement() : result;
  }

  char32_t class_character() {
    if (peek() == '\\' && peek(1) == 'b') return at_ += 2, char32_t{8};
    return character();
  }

  // \d \D \w \W \s \S \p{...} \P{...}
  std::optional<CharSet> class_escape() {
    if (peek() != '\\') return std::nullopt;
    const char kind = peek(1);
    if (kind == 'p' || kind == 'P') {
      const std::size_t close = source_.find('}', at_);
      if (peek(2) != '{' || close == source_.npos) error("expected {property}");
      const std::string_view name = source_.substr(at_ + 3, close - at_ - 3);
      const std::optional<CharSet> found = once(name, [&] { return property_class(name); });
      if (!found) unsupported(fmt::format("the property \"{}\"", name));
      at_ = close + 1;
      return kind == 'p' ? *found : found->complement();
    }
    const std::optional<CharSet> found = once({&kind, 1}, [&] { return shorthand_class(kind); });
    if (found) at_ += 2;
    return found;
  }

  // Classes are slow to make; a pattern may name one many times.
  template <class Make>
  std::optional<CharSet> once(std::string_view name, Make&& make) {
    const auto [place, fresh] = classes_.try_emplace(std::string(name));
    if (fresh) place->second = make();
    return place->second;
  }

  char32_t character() {
    if (peek() != '\\') {
      const text::CodePoint c = text::decode_utf8(source_, at_);
      if (!c.valid) error("this is not UTF-8");
      at_ += c.length;
      return c.value;
    }
    if (at_ + 1 >= source_.size()) error("a \\ at the end");
    const char kind = peek(1);
    at_ += 2;
    switch (kind) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'f':
        return '\f';
      case 'v':
        return '\v';
      case '0':
        if (peek() >= '0' && peek() <= '9') unsupported("an octal escape");
        return 0;
      case 'x':
        return hex(2);
      case 'u':
        return unicode_escape();
      case 'c':
        return static_cast<char32_t>(control());
      default:
        break;
    }
    if ((kind >= 'a' && kind <= 'z') || (kind >= 'A' && kind <= 'Z') || (kind >= '0' && kind <= '9')) {
      at_ -= 2;
      unsupported(fmt::format("the escape \\{}", kind));
    }
    --at_;  // the character itself, which may be longer than a byte
    const text::CodePoint c = text::decode_utf8(source_, at_);
    if (!c.valid) error("this is not UTF-8");
    at_ += c.length;
    return c.value;
  }

  int control() {
    const char letter = peek();
    if (!((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'))) error("expected a letter");
    ++at_;
    return letter & 31;
  }

  char32_t unicode_escape() {
    if (take("{")) {
      const std::size_t close = source_.find('}', at_);
      if (close == source_.npos || close == at_ || close - at_ > 6) error("expected a character's number");
      const char32_t c = hex(close - at_);
      ++at_;
      return c;
    }
    const char32_t c = hex(4);
    if (c < 0xD800 || c > 0xDBFF || !source_.substr(at_).starts_with("\\u")) return c;
    at_ += 2;
    const char32_t low = hex(4);
    if (low < 0xDC00 || low > 0xDFFF) error("half a surrogate pair");
    return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
  }

  char32_t hex(std::size_t digits) {
    const std::string_view text = source_.substr(at_, digits);
    std::uint32_t value = 0;
    const auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() < digits || status != std::errc() || stop != text.data() + digits ||
        value > kLastCharacter)
      error(fmt::format("expected {} hexadecimal digits", digits));
    at_ += digits;
    return value;
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::map<std::string, std::optional<CharSet>> classes_;
};

// What an edge asks for.
enum class When { always, at_start, at_end };

class Nfa {
 public:
  explicit Nfa(const std::vector<Node>& nodes) : nodes_(nodes) {}

  // From state 0 to state 1.
  void build(Id root, Match match) {
    add_state(), add_state();
    Id from = 0, to = 1;
    if (match == Match::anywhere) {
      from = add_state(), to = add_state();
      for (const Id loop : {Id{0}, Id{1}}) states_[loop].reads.push_back({CharSet::all(), loop});
      link(0, from), link(to, 1);
    }
    emit(root, from, to);
  }

  Dfa determinize() const {
    using Set = std::set<Id>;
    // The start knows that it is one; other sets do not need to.
    using Subset = std::pair<Set, bool>;
    std::size_t steps = 0;
    return Dfa::explore(
        Subset{closure({0}, true, false), true}, atoms(),
        [&](const Subset& s, char32_t c) {
          Set next;
          steps += s.first.size();
          if (steps > kMaxSteps)
            throw Error(ErrorKind::limit, "the pattern is too complex", "use smaller repetition counts");
          for (const Id id : s.first)
            for (const auto& [set, to] : states_[id].reads)
              if (set.contains(c)) next.insert(to);
          return Subset{closure(std::move(next), false, false), false};
        },
        [&](const Subset& s) { return closure(s.first, s.second, true).contains(1); });
  }

 private:
  struct State {
    std::vector<std::pair<CharSet, Id>> reads;
    std::vector<std::pair<When, Id>> empty;
  };

  Id add_state() {
    if (states_.size() >= kMaxNfaStates)
      throw Error(ErrorKind::limit, fmt::format("the pattern needs more than {} states", kMaxNfaStates),
                  "use smaller repetition counts");
    states_.emplace_back();
    return static_cast<Id>(states_.size() - 1);
  }
  void link(Id from, Id to, When when = When::always) { states_[from].empty.emplace_back(when, to); }

  void emit(Id id, Id from, Id to) {
    const Node& node = nodes_[id];
    switch (node.kind) {
      case Node::Kind::set:
        states_[from].reads.emplace_back(node.set, to);
        return;
      case Node::Kind::start:
        return link(from, to, When::at_start);
      case Node::Kind::end:
        return link(from, to, When::at_end);
      case Node::Kind::choice:
        for (const Id part : node.parts) emit(part, from, to);
        return;
      case Node::Kind::sequence:
        for (const Id part : node.parts) {
          const Id next = add_state();
          emit(part, from, next);
          from = next;
        }
        return link(from, to);
      case Node::Kind::repeat:
        return repeat(node, from, to);
    }
  }

  void repeat(const Node& node, Id from, Id to) {
    const auto copy = [&] {
      const Id next = add_state();
      emit(node.parts[0], from, next);
      from = next;
    };
    for (std::uint32_t i = 0; i < node.count.min; ++i) copy();
    if (node.count.max == kUnbounded) {
      const Id loop = add_state();
      link(from, loop);
      emit(node.parts[0], loop, loop);
      return link(loop, to);
    }
    for (std::uint32_t i = node.count.min; i < node.count.max; ++i) {
      link(from, to);
      copy();
    }
    link(from, to);
  }

  std::set<Id> closure(std::set<Id> states, bool at_start, bool at_end) const {
    std::vector<Id> todo(states.begin(), states.end());
    while (!todo.empty()) {
      const Id id = todo.back();
      todo.pop_back();
      for (const auto& [when, to] : states_[id].empty) {
        if ((when == When::at_start && !at_start) || (when == When::at_end && !at_end)) continue;
        if (states.insert(to).second) todo.push_back(to);
      }
    }
    return states;
  }

  std::vector<char32_t> atoms() const {
    std::set<char32_t> begins{0};
    for (const State& s : states_)
      for (const auto& [set, to] : s.reads)
        for (const CharRange& r : set.ranges()) begins.insert({r.first, r.last + 1});
    begins.erase(kLastCharacter + 1);
    return {begins.begin(), begins.end()};
  }

  const std::vector<Node>& nodes_;
  std::vector<State> states_;
};

}  // namespace

Dfa regex_dfa(std::string_view pattern, Match match) {
  if (pattern.size() > kMaxSourceBytes)
    fail(ErrorKind::limit, "the pattern has {} bytes; the limit is {}", pattern.size(), kMaxSourceBytes);
  Parser parser(pattern);
  const Id root = parser();
  Nfa nfa(parser.nodes);
  nfa.build(root, match);
  return nfa.determinize();
}

Rules parse_regex(std::string_view pattern) {
  Rules rules;
  const Dfa dfa = regex_dfa(pattern, Match::whole);
  rules.root = rules.declare("root");
  rules.define(rules.root, dfa.express(rules, [&](const CharSet& set) { return rules.characters(set); }));
  return rules;
}

}  // namespace medlar::grammar
