// JSON Schema (draft 2020-12) as a grammar of JSON texts.
#pragma once

#include <string_view>

#include "text/grammar/rules.h"

namespace medlar::grammar {

struct SchemaOptions {
  // Whether objects may have properties that the schema neither names nor speaks of. JSON Schema allows them;
  // an answer is better without.
  bool extra_properties = false;
};

// Every text of the grammar is JSON that the schema allows. Not every such JSON is a text of it:
// docs/grammars.md says how texts are written and which keywords there are. Throws Error(unsupported) naming
// a keyword by its JSON pointer, Error(usage) where the schema makes no sense, Error(limit).
Rules parse_json_schema(std::string_view schema, SchemaOptions options = {});

}  // namespace medlar::grammar
