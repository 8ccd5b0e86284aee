// What an answer may be, where a request says which tools have to be called or what form its content has: a
// grammar in the format's own text.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/reply/parser.h"
#include "text/reply/reply.h"

namespace medlar::reply {

struct ToolChoice {
  enum class Kind { none, automatic, required, named };
  Kind kind = Kind::automatic;
  std::string name = {};  // of the one tool that must be called
  bool parallel = true;   // several calls are welcome, unless one tool is named
};

struct ToolGrammar {
  // The rule that `gbnf` does not define for the content, where the request constrains that.
  static constexpr std::string_view kContent = "content";
  // A rule that `gbnf` names and does not define: JSON text of one value that fulfils a schema.
  struct Hole {
    std::string rule;
    boost::json::value schema;
  };
  // Empty: the grammar holds from the answer's first byte. Otherwise from the first byte of any of these,
  // once it has been sampled outside of reasoning; the grammar begins with it.
  std::vector<std::string> triggers;
  bool trigger_at_start = false;  // they count only where the content begins
  std::string gbnf;               // from `root` to the answer's end
  std::vector<Hole> holes;
};

struct ToolGrammarRequest {
  const ReplyFormat& format;
  std::span<const Tool> tools;
  ToolChoice choice = {};
  std::string opened = {};  // what opened_by() found at the prompt's end
  bool reasoning = true;    // may come before what is required
  bool content = false;     // an answer without calls is of a form of its own
};

// Nothing where there is nothing to constrain: no tools, or `none`, and content of any form. Arguments follow
// their schema where the format writes them as JSON, or one by one; within Python's and Gemma's notation, the
// parameters' names, types and enumerations do. Throws Error(usage) where the named tool is not there,
// Error(unsupported) for a name that the format cannot write.
std::optional<ToolGrammar> tool_grammar(const ToolGrammarRequest& request);

}  // namespace medlar::reply
