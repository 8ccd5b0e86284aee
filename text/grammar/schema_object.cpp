// Objects: the named properties in the order in which the schema names them, others between them.
#include <algorithm>
#include <map>
#include <tuple>

#include "text/grammar/regex.h"
#include "text/grammar/schema_texts.h"
#include "text/grammar/schema_writer.h"

namespace medlar::grammar {
namespace {

// Subsets of these are told apart for keys that are not named.
constexpr std::size_t kMaxPatterns = 6;
constexpr std::size_t kMaxCount = 1000;  // of "minProperties" and "maxProperties"

}  // namespace

std::vector<std::string> SchemaWriter::property_names(const Shape& s) const {
  std::vector<std::string> names;
  std::map<std::string, bool> seen;
  const auto add = [&](const std::string& name) {
    if (seen.try_emplace(name, true).second) names.push_back(name);
  };
  for (const Json* schema : s.object_schemas)
    if (const Json* properties = schema->find("properties"))
      for (const std::string& name : properties->keys) add(name);
  for (const std::string& name : s.required) add(name);
  for (const auto& [name, conditions] : s.property_conditions) add(name);
  return names;
}

// What the value of a property must meet. `named` tells whether some schema has the name among its
// properties.
Conjunction SchemaWriter::conditions(const Shape& s, const std::string& name, bool& named) {
  Conjunction all;
  const std::u32string text = characters(name);
  named = false;
  for (const Json* schema : s.object_schemas) {
    bool found = false;
    if (const Json* properties = schema->find("properties"))
      if (const Json* property = properties->find(name)) {
        add_literal(all, {property, false});
        found = named = true;
      }
    if (const Json* patterns = schema->find("patternProperties"))
      for (std::size_t i = 0; i < patterns->keys.size(); ++i)
        if (dfas_.at(patterns->keys[i]).accepts(text)) {
          add_literal(all, {&patterns->items[i], false});
          found = true;
        }
    const Json* additional = schema->find("additionalProperties");
    if (!found && additional) add_literal(all, {additional, false});
  }
  if (const auto it = s.property_conditions.find(name); it != s.property_conditions.end())
    for (const Literal& l : it->second) add_literal(all, l);
  return all;
}

// The keys that "propertyNames" allows.
Dfa SchemaWriter::allowed_names(const Shape& s) {
  Dfa allowed = Dfa::everything();
  if (s.property_names.empty()) return allowed;
  Conjunction all;
  for (const Literal& l : s.property_names) add_literal(all, l);
  Dfa any = Dfa::words({});
  for (const Shape& names : shapes_.of(all)) {
    if (names.values) {
      std::vector<std::u32string> words;
      for (const Json* v : *names.values)
        if (v->is(Json::Kind::string)) words.push_back(characters(v->text));
      any = Dfa::either(any, Dfa::words(words));
    } else if (names.types & kString) {
      any = Dfa::either(any, string_texts(names));
    }
  }
  return any;
}

// For every set of patterns that a key may match together: the members with such keys.
std::vector<Expr> SchemaWriter::free_members(const Shape& s, const std::vector<std::string>& names,
                                             const Dfa& allowed) {
  std::vector<std::string> patterns;
  for (const Json* schema : s.object_schemas)
    if (const Json* all = schema->find("patternProperties"))
      for (const std::string& p : all->keys)
        if (std::ranges::find(patterns, p) == patterns.end()) patterns.push_back(p);
  if (patterns.size() > kMaxPatterns)
    document_.fail(ErrorKind::limit, *s.origin, "patternProperties",
                   fmt::format("has more than {} patterns", kMaxPatterns), "join some of them");
  std::vector<std::u32string> words;
  for (const std::string& name : names) words.push_back(characters(name));
  const bool plain = names.empty() && patterns.empty() && s.property_names.empty();
  std::vector<Expr> members;
  for (std::size_t set = 0; set < (std::size_t{1} << patterns.size()); ++set) {
    const auto matched = [&](const std::string& p) {
      const auto i = static_cast<std::size_t>(std::ranges::find(patterns, p) - patterns.begin());
      return (set >> i & 1) != 0;
    };
    Conjunction all;
    bool closed = false;
    for (const Json* schema : s.object_schemas) {
      bool found = false;
      if (const Json* own = schema->find("patternProperties"))
        for (std::size_t i = 0; i < own->keys.size(); ++i)
          if (matched(own->keys[i])) add_literal(all, {&own->items[i], false}), found = true;
      const Json* additional = schema->find("additionalProperties");
      if (!found && additional) add_literal(all, {additional, false});
      closed |= !found && !additional && !options_.extra_properties;
    }
    if (closed || std::ranges::any_of(all, [](const Literal& l) {
          return l.schema->is(Json::Kind::boolean) && l.schema->boolean == l.negated;
        }))
      continue;
    if (plain) {
      members.push_back(member(string_, std::move(all)));
      continue;
    }
    Dfa keys = Dfa::both(allowed, Dfa::words(words).complement());
    for (const std::string& p : patterns)
      keys = Dfa::both(keys, matched(p) ? dfas_.at(p) : dfas_.at(p).complement());
    if (!keys.empty()) members.push_back(member(quoted(keys), std::move(all)));
  }
  return members;
}

Expr SchemaWriter::member(Expr key, Conjunction all) {
  return make_rule("member", rules_.sequence({key, colon_, value(std::move(all))}));
}

Expr SchemaWriter::object(const Shape& s) {
  for (const Json* schema : s.object_schemas)
    if (const Json* patterns = schema->find("patternProperties"))
      for (const std::string& p : patterns->keys)
        if (!dfas_.contains(p)) {
          try {
            dfas_.emplace(p, regex_dfa(p, Match::anywhere));
          } catch (const Error& error) {
            document_.fail(error.kind(), *schema, "patternProperties", error.what(), error.hint());
          }
        }
  const Dfa allowed = allowed_names(s);
  std::vector<std::string> names = property_names(s);
  std::vector<Property> properties;
  for (const std::string& name : names) {
    bool named = false;
    Conjunction all = conditions(s, name, named);
    const bool required = std::ranges::find(s.required, name) != s.required.end();
    const bool never = !allowed.accepts(characters(name)) || std::ranges::any_of(all, [](const Literal& l) {
      return l.schema->is(Json::Kind::boolean) && l.schema->boolean == l.negated;
    });
    Property property{.required = required, .possible = !never};
    if (!never) {
      const Expr plain = rules_.bytes(quote(name)), ascii = rules_.bytes(quote(name, Spelling::ascii));
      property.member = member(rules_.choice({plain, ascii}), std::move(all));
    }
    properties.push_back(property);
  }
  return write_members(s, properties, free_members(s, names, allowed));
}

// States are (the next property, whether there is a member already, members that count for "minProperties",
// members that count for "maxProperties"). Keys that are not named may come twice, so that only the first of
// them is sure to count for the minimum.
Expr SchemaWriter::write_members(const Shape& s, const std::vector<Property>& properties,
                                 const std::vector<Expr>& free) {
  using Key = std::tuple<std::size_t, bool, bool, std::uint32_t, std::uint32_t>;
  const std::uint32_t min = s.min_properties, max = s.max_properties;
  const bool most = max != kUnbounded && (!free.empty() || max < properties.size());
  const auto required = static_cast<std::uint32_t>(std::ranges::count_if(properties, &Property::required));
  const bool least = min > required;
  if ((least && min > kMaxCount) || (most && max > kMaxCount))
    document_.fail(ErrorKind::limit, *s.origin, "", "objects of so many properties are not supported",
                   "use a smaller \"minProperties\" or \"maxProperties\"");
  const auto possible = static_cast<std::uint32_t>(std::ranges::count_if(properties, &Property::possible));
  if (least && !free.empty() && min > possible + 1)
    document_.fail(ErrorKind::unsupported, *s.origin, "minProperties",
                   "keys that are not named cannot be counted",
                   "name the properties, or leave it out and check the answer afterwards");
  Graph graph;
  std::map<Key, std::uint32_t> states;
  std::vector<Key> order;
  const auto at = [&](const Key& key) {
    const auto [place, fresh] = states.try_emplace(key, 0);
    if (fresh) place->second = graph.add_state(), order.push_back(key);
    return place->second;
  };
  at({0, false, false, 0, 0});
  const std::uint32_t closed = graph.add_state(true);
  const Expr close = rules_.bytes("}"), late_close = rules_.sequence({space_, close}),
             nothing = rules_.bytes("");
  std::map<std::pair<Expr, bool>, Expr> reads;
  const auto read = [&](Expr member, bool later) {
    const auto [place, fresh] = reads.try_emplace({member, later}, 0);
    if (fresh) place->second = rules_.sequence({later ? comma_ : space_, member});
    return place->second;
  };
  for (std::size_t k = 0; k < order.size(); ++k) {
    const auto [i, later, free_seen, few, many] = order[k];
    const std::uint32_t from = states.at(order[k]);
    const auto counted = [&](std::uint32_t n, bool on, std::uint32_t limit) {
      return on ? std::min(n + 1, limit) : 0;
    };
    const bool room = !most || many < max;
    if (i == properties.size() && (!least || few >= min))
      graph.edges.push_back({from, closed, later ? late_close : close});
    if (i < properties.size()) {
      const Property& p = properties[i];
      if (p.possible && room)
        graph.edges.push_back(
            {from, at({i + 1, true, free_seen, counted(few, least, min), counted(many, most, max)}),
             read(p.member, later)});
      if (!p.required) graph.edges.push_back({from, at({i + 1, later, free_seen, few, many}), nothing});
    }
    if (!room) continue;
    for (const Expr member : free)
      graph.edges.push_back(
          {from,
           at({i, true, least, least && !free_seen ? std::min(few + 1, min) : few, counted(many, most, max)}),
           read(member, later)});
  }
  return rules_.sequence({rules_.bytes("{"), rules_.graph(std::move(graph))});
}

}  // namespace medlar::grammar
