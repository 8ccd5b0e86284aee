// A schema document: what its references name, and where a part of it stands.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "text/grammar/json_value.h"

namespace medlar::grammar {

class SchemaDocument {
 public:
  // Throws as parse_json does, and Error(usage) for identifiers that come twice.
  explicit SchemaDocument(std::string_view text);

  const Json& root() const { return root_; }

  // What a "$ref" in `schema` names. Throws Error(unsupported) for what is not in this document.
  const Json& resolve(const Json& schema, const std::string& reference) const;

  // The JSON pointer of a part, as in "#/properties/name".
  std::string pointer(const Json& part) const;

  // Throw an error about the member `key` of `schema`.
  [[noreturn]] void fail(ErrorKind kind, const Json& schema, std::string_view key, const std::string& message,
                         std::string hint = {}) const;

 private:
  void index(const Json& value, const std::string& base);
  const Json* follow(const Json& from, std::string_view pointer) const;

  Json root_;
  std::unordered_map<std::string, const Json*> by_uri_;
  std::unordered_map<const Json*, std::string> base_of_;  // of every object that may be a schema
};

}  // namespace medlar::grammar
