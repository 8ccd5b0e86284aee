// Values, strings, numbers and arrays. Objects are in schema_object.cpp.
#include "text/grammar/schema_writer.h"

#include <algorithm>
#include <array>

#include "text/grammar/regex.h"
#include "text/grammar/schema_texts.h"

namespace medlar::grammar {
namespace {

constexpr std::size_t kMaxListStates = 200'000;

CharSet characters_of(std::string_view text) {
  CharSet set;
  for (const char c : text) set.add(static_cast<unsigned char>(c), static_cast<unsigned char>(c));
  return set;
}

}  // namespace

Rules parse_json_schema(std::string_view schema, SchemaOptions options) {
  const SchemaDocument document(schema);
  return SchemaWriter(document, options)();
}

SchemaWriter::SchemaWriter(const SchemaDocument& document, SchemaOptions options)
    : document_(document), options_(options), shapes_(document) {
  rules_.root = rules_.declare("root");
  const Expr indent =
      rules_.sequence({rules_.bytes("\n"), rules_.repeat(rules_.characters(characters_of(" \t")), {0, 40})});
  space_ = make_rule("space", rules_.optional(rules_.choice({rules_.bytes(" "), indent})));
  colon_ = rules_.sequence({rules_.bytes(":"), rules_.optional(rules_.bytes(" "))});
  comma_ = make_rule("comma", rules_.sequence({rules_.bytes(","), space_}));
  character_ = make_rule("character", rules_.choice({spell(CharSet::all()), [&] {
                                                       CharSet ascii{{0x20, 0x7E}};
                                                       return unicode_escape(ascii);
                                                     }()}));
  const Expr quote = rules_.bytes("\"");
  endless_ = rules_.declare("characters");
  rules_.define(endless_, rules_.choice({quote, rules_.sequence({character_, rules_.call(endless_)})}));
  string_ = make_rule("string", rules_.sequence({quote, rules_.call(endless_)}));
  number_ = make_rule("number", pattern(kNumberPattern));
  integer_ = make_rule("integer", pattern(kIntegerPattern));
}

Rules SchemaWriter::operator()() {
  rules_.define(rules_.root, value({{&document_.root(), false}}));
  while (!todo_.empty()) {
    const auto [all, rule] = std::move(todo_.back());
    todo_.pop_back();
    std::vector<Expr> choices;
    for (const Shape& s : shapes_.of(all)) choices.push_back(shape(s));
    rules_.define(rule, rules_.choice(std::move(choices)));
  }
  return std::move(rules_);
}

Expr SchemaWriter::make_rule(std::string name, Expr body) {
  const RuleId rule = rules_.declare(std::move(name));
  rules_.define(rule, body);
  return rules_.call(rule);
}

Expr SchemaWriter::pattern(std::string_view regex) {
  return regex_dfa(regex, Match::whole).express(rules_, [&](const CharSet& s) {
    return rules_.characters(s);
  });
}

Expr SchemaWriter::value(Conjunction all) {
  std::erase_if(all, [](const Literal& l) {
    return l.schema->is(Json::Kind::boolean)
               ? l.schema->boolean != l.negated
               : l.schema->is(Json::Kind::object) && l.schema->keys.empty() && !l.negated;
  });
  const auto [place, fresh] = known_.try_emplace(all, 0);
  if (fresh) {
    place->second = rules_.declare("value");
    todo_.emplace_back(std::move(all), place->second);
  }
  return rules_.call(place->second);
}

Expr SchemaWriter::shape(const Shape& s) {
  std::vector<Expr> choices;
  if (s.values) {
    for (const Json* v : *s.values) {
      const std::string text = to_text(*v), ascii = to_text(*v, Spelling::ascii);
      choices.push_back(rules_.bytes(text));
      if (ascii != text) choices.push_back(rules_.bytes(ascii));
    }
    return rules_.choice(std::move(choices));
  }
  if (s.types & kNull) choices.push_back(rules_.bytes("null"));
  if (s.types & kBoolean) choices.push_back(rules_.bytes("true")), choices.push_back(rules_.bytes("false"));
  if (s.types & (kInteger | kFraction)) choices.push_back(number(s));
  if (s.types & kString) choices.push_back(string(s));
  if (s.types & kArray) choices.push_back(array(s));
  if (s.types & kObject) choices.push_back(object(s));
  return rules_.choice(std::move(choices));
}

Expr SchemaWriter::number(const Shape& s) {
  const bool integers = s.types & kInteger, fractions = s.types & kFraction;
  const bool plain = s.bounds.empty() && s.multiples.empty();
  if (plain && integers) return fractions ? number_ : integer_;
  const auto as_is = [&](const CharSet& set) { return rules_.characters(set); };
  if (!fractions) return integer_texts(s).express(rules_, as_is);
  if (!integers) return fraction_texts(s).express(rules_, as_is);
  return number_texts(s).express(rules_, as_is);
}

Expr SchemaWriter::string(const Shape& s) {
  if (!s.patterns.empty()) return quoted(string_texts(s));
  if (s.min_length == 0 && s.max_length == kUnbounded) return string_;
  const Expr rest = s.max_length == kUnbounded ? rules_.call(endless_) : ending(s.max_length - s.min_length);
  return rules_.sequence({rules_.bytes("\""), rules_.repeat(character_, {s.min_length, s.min_length}), rest});
}

// All strings share these, whatever their limit, so that what is learnt about one serves the others. With n
// characters to go, and after the next of them, tokens of up to n - 2 bytes behave as if there were no limit.
Expr SchemaWriter::ending(std::uint32_t n) {
  if (n >= kMaxListStates)
    throw Error(ErrorKind::limit,
                fmt::format("JSON schema: strings of {} characters need too many states", n),
                "use a smaller \"maxLength\", or none");
  const Expr quote = rules_.bytes("\"");
  while (endings_.size() <= n) {
    const auto i = static_cast<std::uint32_t>(endings_.size());
    endings_.push_back(rules_.declare("characters"));
    if (i == 0) {
      rules_.define(endings_[0], quote);
      continue;
    }
    rules_.define(endings_[i],
                  rules_.choice({quote, rules_.sequence({character_, rules_.call(endings_[i - 1])})}));
    if (i > 2) rules_.twin(endings_[i], endless_, i - 2);
  }
  return rules_.call(endings_[n]);
}

Expr SchemaWriter::quoted(const Dfa& characters) {
  const Expr quote = rules_.bytes("\"");
  return rules_.sequence(
      {quote, characters.express(rules_, [&](const CharSet& s) { return spell(s); }), quote});
}

// Characters as themselves, or escaped: what must be; the letters that have an escape of their own; and what
// is not ASCII.
Expr SchemaWriter::spell(const CharSet& set) {
  constexpr std::string_view kEscaped = "\"\\/\b\f\n\r\t", kLetters = "\"\\/bfnrt";
  std::vector<Expr> ways;
  const CharSet plain = set.intersect(CharSet{{0x20, kLastCharacter}}).minus(characters_of("\"\\"));
  if (!plain.empty()) ways.push_back(rules_.characters(plain));
  CharSet letters;
  for (std::size_t i = 0; i < kEscaped.size(); ++i)
    if (set.contains(static_cast<char32_t>(kEscaped[i]))) letters.add(characters_of(kLetters.substr(i, 1)));
  if (!letters.empty()) ways.push_back(rules_.sequence({rules_.bytes("\\"), rules_.characters(letters)}));
  CharSet rest = set.intersect(CharSet{{0, 0x1F}, {0x7F, kLastCharacter}});
  if (!rest.empty()) ways.push_back(unicode_escape(rest));
  return rules_.choice(std::move(ways));
}

Expr SchemaWriter::unicode_escape(const CharSet& set) {
  // The numbers of a range, as hexadecimal digits from the left.
  const auto digit = [&](unsigned first, unsigned last) {
    CharSet s;
    for (unsigned d = first; d <= last; ++d) {
      if (d < 10) s.add('0' + d, '0' + d);
      if (d >= 10) s.add('a' + d - 10, 'a' + d - 10), s.add('A' + d - 10, 'A' + d - 10);
    }
    return rules_.characters(s);
  };
  std::vector<Expr> ways;
  const auto numbers = [&](auto&& self, unsigned first, unsigned last, int digits) -> Expr {
    if (digits == 0) return rules_.bytes("");
    const unsigned unit = 1u << (4 * (digits - 1));
    std::vector<Expr> parts;
    for (unsigned at = first; at <= last;) {
      const unsigned high = at / unit, low = at % unit;
      unsigned until = high;
      // As many whole blocks as there are share their digits.
      while (low == 0 && (until + 2) * unit - 1 <= last) ++until;
      const unsigned end = std::min(last, (until + 1) * unit - 1);
      const unsigned end_low = low == 0 && end == (until + 1) * unit - 1 ? unit - 1 : end % unit;
      parts.push_back(rules_.sequence({digit(high, until), self(self, low, end_low, digits - 1)}));
      at = end + 1;
    }
    return rules_.choice(std::move(parts));
  };
  const auto escape = [&](unsigned first, unsigned last) {
    return rules_.sequence({rules_.bytes("\\u"), numbers(numbers, first, last, 4)});
  };
  const CharSet spelled = set.intersect(CharSet::all());
  for (const CharRange& r : spelled.ranges()) {
    if (r.first <= 0xFFFF) ways.push_back(escape(r.first, std::min<unsigned>(r.last, 0xFFFF)));
    for (unsigned at = std::max<unsigned>(r.first, 0x10000); at <= r.last;) {
      // Characters with the same first half of the pair, or whole runs of first halves.
      const unsigned offset = at - 0x10000, high = offset >> 10, low = offset & 0x3FF;
      const unsigned last = r.last - 0x10000;
      unsigned until = high;
      if (low == 0)
        while (((until + 2) << 10) - 1 <= last) ++until;
      const unsigned end = std::min(last, ((until + 1) << 10) - 1);
      ways.push_back(rules_.sequence(
          {escape(0xD800 + high, 0xD800 + until), escape(0xDC00 + low, 0xDC00 + (end & 0x3FF))}));
      at = end + 0x10000 + 1;
    }
  }
  return rules_.choice(std::move(ways));
}

Conjunction SchemaWriter::item_conditions(const Shape& s, std::size_t index) const {
  Conjunction all;
  for (const Json* schema : s.array_schemas) {
    const Json* prefix = schema->find("prefixItems");
    if (prefix && index < prefix->items.size()) {
      add_literal(all, {&prefix->items[index], false});
    } else if (const Json* items = schema->find("items")) {
      add_literal(all, {items, false});
    }
  }
  for (const Literal& l : s.every_item) add_literal(all, l);
  return all;
}

// States are (items so far, those among them that count for "contains").
Expr SchemaWriter::array(const Shape& s) {
  if (s.unique_items && s.max_items > 1)
    document_.fail(ErrorKind::unsupported, *s.origin, "uniqueItems", "items cannot be kept different",
                   "leave it out and check the answer afterwards");
  if (s.contains.size() > 1)
    document_.fail(ErrorKind::unsupported, *s.contains[1].schema, "contains",
                   "stands beside another \"contains\"", "leave one out and check the answer afterwards");
  const bool counts = !s.contains.empty();
  const Shape::Contains contains = counts ? s.contains[0] : Shape::Contains{.item = {}, .min = 0};
  const bool most = contains.max != kUnbounded;
  std::size_t prefix = 0;
  for (const Json* schema : s.array_schemas)
    if (const Json* items = schema->find("prefixItems")) prefix = std::max(prefix, items->items.size());
  // Beyond this many, items are all alike; the first has no comma.
  const std::size_t cap =
      s.max_items != kUnbounded ? s.max_items : std::max({prefix, std::size_t{s.min_items}, std::size_t{1}});
  const std::size_t rows = std::size_t{most ? contains.max : contains.min} + 1;
  if ((cap + 1) > kMaxListStates / rows)
    document_.fail(ErrorKind::limit, *s.origin, "", "arrays of so many items are not supported",
                   "use a smaller \"minItems\" or \"maxItems\"");
  Graph graph;
  for (std::size_t i = 0; i < (cap + 1) * rows; ++i) graph.add_state();
  const std::uint32_t closed = graph.add_state(true);
  const auto at = [&](std::size_t index, std::size_t count) {
    return static_cast<std::uint32_t>(index * rows + count);
  };
  const Expr close = rules_.bytes("]"), late_close = rules_.sequence({space_, close});
  for (std::size_t i = 0; i <= cap; ++i) {
    const bool more = i < cap || s.max_items == kUnbounded;
    const std::size_t next = std::min(i + 1, cap);
    const auto item = [&](Literal* extra) {
      Conjunction all = item_conditions(s, i);
      if (extra) add_literal(all, *extra);
      return rules_.sequence({i == 0 ? space_ : comma_, value(std::move(all))});
    };
    Literal yes = contains.item, no = {contains.item.schema, !contains.item.negated};
    const Expr plain = more ? item(most ? &no : nullptr) : 0;
    const Expr counted = more && counts ? item(&yes) : 0;
    for (std::size_t c = 0; c < rows; ++c) {
      if (i >= s.min_items && c >= contains.min)
        graph.edges.push_back({at(i, c), closed, i == 0 ? close : late_close});
      if (!more) continue;
      graph.edges.push_back({at(i, c), at(next, c), plain});
      if (counts && c + 1 < rows) graph.edges.push_back({at(i, c), at(next, c + 1), counted});
    }
  }
  return rules_.sequence({rules_.bytes("["), rules_.graph(std::move(graph))});
}

}  // namespace medlar::grammar
