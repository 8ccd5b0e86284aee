// The arguments of one tool as grammar rules, in a layout's notation.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/reply/format.h"
#include "text/reply/gbnf.h"
#include "text/reply/pattern.h"
#include "text/reply/schema_types.h"
#include "text/reply/tool_grammar.h"
#include "text/reply/value_reader.h"

namespace medlar::reply {

class ArgumentGrammar {
 public:
  // Rules go to `gbnf`, what JSON Schema has to fill to `holes`; all three outlive this.
  ArgumentGrammar(const CallLayout& layout, Gbnf& gbnf, std::vector<ToolGrammar::Hole>& holes)
      : layout_(layout), gbnf_(gbnf), holes_(holes) {}

  // What stands in the hole. `number` tells the tools' rules apart.
  std::string expression(Hole hole, const Tool& tool, std::size_t number);

 private:
  struct Parameter {
    std::string key;
    boost::json::value schema;  // for a hole: with the definitions that it refers to
    boost::json::value target;  // what its reference leads to
    Types types;
    bool required = false;
    std::string rule;  // of its value
  };

  std::vector<Parameter> parameters(const Tool& tool, std::size_t number) const;
  std::string hole(std::string rule, boost::json::value schema);
  std::string tagged(const std::vector<Parameter>& parameters);
  std::string tagged_parameter(const Parameter& parameter);
  std::string tagged_steps(const Parameter& parameter, const std::string& value, bool is_text) const;
  std::string listed(const std::vector<Parameter>& parameters, Notation notation, std::size_t number);
  std::string literal_value(const Parameter& parameter, Notation notation);
  std::string any_value(Notation notation);

  const CallLayout& layout_;
  Gbnf& gbnf_;
  std::vector<ToolGrammar::Hole>& holes_;
};

}  // namespace medlar::reply
