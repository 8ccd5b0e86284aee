// A recursive-descent parser; line breaks count as spaces, and "name ::=" begins a rule.
#include "text/grammar/gbnf.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "text/unicode.h"

namespace medlar::grammar {
namespace {

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class Parser {
 public:
  explicit Parser(std::string_view source) : source_(source) {}

  Rules operator()(std::span<const GbnfHole> holes, std::span<const Vocabulary::Token> tokens) {
    skip();
    while (at_ < source_.size()) rule();
    if (!tokens.empty()) rules_.rewrite([&](const std::string& text) { return spell_tokens(text, tokens); });
    for (const GbnfHole& hole : holes) {
      const auto used = ids_.find(hole.name);
      if (used == ids_.end() || defined_[used->second]) continue;
      rules_.define(used->second, rules_.call(rules_.import(hole.rules)));
      defined_[used->second] = true;
    }
    for (const auto& [name, id] : ids_)
      if (!defined_[id])
        error(first_use_[id], fmt::format("the rule \"{}\" is used but not defined", name),
              "define it, or correct its name");
    const auto root = ids_.find("root");
    if (root == ids_.end())
      throw Error(ErrorKind::usage, "the grammar has no rule \"root\"",
                  "add one: root ::= what the whole answer looks like");
    rules_.root = root->second;
    return std::move(rules_);
  }

 private:
  [[noreturn]] void error(std::size_t at, const std::string& message, std::string hint = {}) const {
    const std::string_view before = source_.substr(0, at);
    const auto line = 1 + std::ranges::count(before, '\n');
    const std::size_t start = before.rfind('\n');
    const std::size_t column = start == before.npos ? at + 1 : at - start;
    throw Error(ErrorKind::usage, fmt::format("grammar, line {}, column {}: {}", line, column, message),
                std::move(hint));
  }

  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  bool take(std::string_view text) {
    if (!source_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  // Spaces, line breaks and comments.
  void skip() {
    while (at_ < source_.size()) {
      const char c = source_[at_];
      if (c == '#') {
        while (at_ < source_.size() && source_[at_] != '\n' && source_[at_] != '\r') ++at_;
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++at_;
      } else {
        return;
      }
    }
  }
  std::string_view name() {
    const std::size_t begin = at_;
    while (is_name(peek())) ++at_;
    return source_.substr(begin, at_ - begin);
  }

  RuleId rule_id(std::string_view name, std::size_t at) {
    const auto [place, fresh] = ids_.try_emplace(std::string(name), 0);
    if (fresh) {
      place->second = rules_.declare(std::string(name));
      defined_.push_back(false);
      first_use_.push_back(at);
    }
    return place->second;
  }

  void rule() {
    const std::size_t begin = at_;
    const std::string_view rule_name = name();
    if (rule_name.empty())
      error(at_, "expected the name of a rule", "a rule is written: name ::= expression");
    const RuleId id = rule_id(rule_name, begin);
    if (defined_[id])
      error(begin, fmt::format("the rule \"{}\" is defined twice", rule_name), "join the two with |");
    defined_[id] = true;
    skip();
    if (!take("::=")) error(at_, fmt::format("expected ::= after \"{}\"", rule_name));
    skip();
    rules_.define(id, alternatives(0));
    if (at_ < source_.size() && !begins_rule())
      error(at_, peek() == ')' ? "a ) without its (" : "expected an expression");
  }

  bool begins_rule() {
    const std::size_t before = at_;
    const bool named = !name().empty();
    skip();
    const bool begins = named && source_.substr(at_).starts_with("::=");
    at_ = before;
    return begins;
  }

  Expr alternatives(int depth) {
    if (depth > kMaxNesting)
      error(at_, fmt::format("groups are nested more than {} deep", kMaxNesting), "use rules instead");
    std::vector<Expr> parts{sequence(depth)};
    while (take("|")) {
      skip();
      parts.push_back(sequence(depth));
    }
    return rules_.choice(std::move(parts));
  }

  Expr sequence(int depth) {
    std::vector<Expr> parts;
    while (at_ < source_.size() && peek() != '|' && peek() != ')' && !begins_rule()) {
      Expr part = item(depth);
      skip();
      while (const std::optional<RepeatCount> count = suffix()) {
        part = rules_.repeat(part, *count);
        skip();
      }
      parts.push_back(part);
    }
    return rules_.sequence(std::move(parts));
  }

  Expr item(int depth) {
    const std::size_t begin = at_;
    if (take("\"")) return literal(begin);
    if (take("[")) return rules_.characters(char_class(begin));
    if (take(".")) return rules_.characters(CharSet::all());
    if (take("(")) {
      skip();
      const Expr inner = alternatives(depth + 1);
      if (!take(")")) error(begin, "a ( without its )");
      return inner;
    }
    if (is_name(peek())) {
      const std::string_view used = name();
      return rules_.call(rule_id(used, begin));
    }
    if (peek() == '<' || peek() == '!')
      error(at_, "tokens in a grammar are not supported", "write the text of the token in quotes");
    if (peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{')
      error(at_, fmt::format("nothing stands before {} that could repeat", peek()));
    error(at_, "expected a text in quotes, [characters], a rule's name or (");
  }

  std::optional<RepeatCount> suffix() {
    if (take("*")) return RepeatCount{0, kUnbounded};
    if (take("+")) return RepeatCount{1, kUnbounded};
    if (take("?")) return RepeatCount{0, 1};
    const std::size_t begin = at_;
    if (!take("{")) return std::nullopt;
    skip();
    RepeatCount count;
    count.min = count.max = number();
    skip();
    if (take(",")) {
      skip();
      count.max = peek() == '}' ? kUnbounded : number();
      skip();
    }
    if (!take("}")) error(begin, "a { without its }", "write {3}, {3,} or {3,5}");
    if (count.max < count.min) error(begin, "the repetition's limits are the wrong way round");
    return count;
  }

  std::uint32_t number() {
    std::uint32_t value = 0;
    const char* const end = source_.data() + source_.size();
    const auto [stop, status] = std::from_chars(source_.data() + at_, end, value);
    if (status == std::errc::invalid_argument) error(at_, "expected a number", "write {3}, {3,} or {3,5}");
    if (status != std::errc() || value > kMaxRepeat)
      error(at_, fmt::format("more than {} repetitions", kMaxRepeat), "use * or + instead");
    at_ = static_cast<std::size_t>(stop - source_.data());
    return value;
  }

  Expr literal(std::size_t begin) {
    std::string text;
    while (peek() != '"') {
      if (at_ >= source_.size() || peek() == '\n') error(begin, "a text without its closing quote");
      text::append_utf8(text, character());
    }
    ++at_;
    return rules_.bytes(text);
  }

  CharSet char_class(std::size_t begin) {
    CharSet set;
    const bool negated = take("^");
    while (peek() != ']') {
      if (at_ >= source_.size() || peek() == '\n') error(begin, "a [ without its ]");
      const std::size_t from = at_;
      const char32_t first = character();
      char32_t last = first;
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < source_.size()) {
        ++at_;
        last = character();
      }
      if (last < first) error(from, "the range's ends are the wrong way round");
      set.add(first, last);
    }
    ++at_;
    return negated ? set.complement() : set;
  }

  // One character, or an escape for one.
  char32_t character() {
    const std::size_t begin = at_;
    if (peek() != '\\') {
      const text::CodePoint c = text::decode_utf8(source_, at_);
      if (!c.valid) error(at_, "this is not UTF-8");
      at_ += c.length;
      return c.value;
    }
    ++at_;
    const char kind = peek();
    ++at_;
    switch (kind) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
      case '/':
        return static_cast<char32_t>(kind);
      case 'x':
        return hex(begin, 2);
      case 'u':
        return hex(begin, 4);
      case 'U':
        return hex(begin, 8);
      default:
        error(begin, "an escape that is not known",
              "known are \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\/ \\xNN \\uNNNN \\UNNNNNNNN");
    }
  }

  char32_t hex(std::size_t begin, std::size_t digits) {
    const std::string_view text = source_.substr(at_, digits);
    std::uint32_t value = 0;
    const auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() < digits || status != std::errc() || stop != text.data() + digits)
      error(begin, fmt::format("expected {} hexadecimal digits", digits));
    if (value > kLastCharacter || (value >= 0xD800 && value <= 0xDFFF))
      error(begin, "this number is no character");
    at_ += digits;
    return value;
  }

  std::string_view source_;
  std::size_t at_ = 0;
  Rules rules_;
  std::unordered_map<std::string, RuleId> ids_;
  std::vector<bool> defined_;
  std::vector<std::size_t> first_use_;
};

}  // namespace

Rules parse_gbnf(std::string_view source) { return parse_gbnf(source, {}, {}); }

Rules parse_gbnf(std::string_view source, std::span<const GbnfHole> holes,
                 std::span<const Vocabulary::Token> tokens) {
  if (source.size() > kMaxSourceBytes)
    throw Error(ErrorKind::limit,
                fmt::format("the grammar has {} bytes; the limit is {}", source.size(), kMaxSourceBytes),
                "make it smaller");
  return Parser(source)(holes, tokens);
}

}  // namespace medlar::grammar
