// Writes shapes down as rules of JSON text.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/grammar/json_schema.h"
#include "text/grammar/rules.h"
#include "text/grammar/schema_shape.h"

namespace medlar::grammar {

class SchemaWriter {
 public:
  SchemaWriter(const SchemaDocument& document, SchemaOptions options);

  // The grammar of the document's root.
  Rules operator()();

 private:
  // A rule for the values that meet a conjunction; written later, so that schemas may refer to themselves.
  Expr value(Conjunction all);
  Expr shape(const Shape& s);
  Expr number(const Shape& s);
  Expr string(const Shape& s);
  Expr array(const Shape& s);
  Expr object(const Shape& s);

  // A string whose characters an automaton reads.
  Expr quoted(const Dfa& characters);
  // At most n more characters, then a quotation mark.
  Expr ending(std::uint32_t n);
  Expr spell(const CharSet& set);
  // One escape \uXXXX or a pair of them.
  Expr unicode_escape(const CharSet& set);
  Expr member(Expr key, Conjunction value);
  Expr make_rule(std::string name, Expr body);
  // `graph` reads what is between the brackets; its states before `closed` may lead there by `close`.
  Expr pattern(std::string_view regex);

  struct Property {
    Expr member = 0;
    bool required = false, possible = true;
  };
  struct FreeMembers {
    std::vector<Expr> members;
  };
  std::vector<std::string> property_names(const Shape& s) const;
  Conjunction conditions(const Shape& s, const std::string& name, bool& named);
  Dfa allowed_names(const Shape& s);
  std::vector<Expr> free_members(const Shape& s, const std::vector<std::string>& names, const Dfa& allowed);
  Expr write_members(const Shape& s, const std::vector<Property>& properties, const std::vector<Expr>& free);
  Conjunction item_conditions(const Shape& s, std::size_t index) const;

  const SchemaDocument& document_;
  SchemaOptions options_;
  Shapes shapes_;
  Rules rules_;
  std::map<Conjunction, RuleId> known_;
  std::vector<std::pair<Conjunction, RuleId>> todo_;
  std::map<std::string, Dfa> dfas_;  // of patterns
  Expr space_ = 0;                   // optional white space, as indented JSON has it
  Expr colon_ = 0, comma_ = 0;
  Expr character_ = 0;           // any character of a string
  RuleId endless_ = 0;           // any number of characters, then a quotation mark
  std::vector<RuleId> endings_;  // the same with at most n characters
  Expr number_ = 0, integer_ = 0, string_ = 0;
};

}  // namespace medlar::grammar
