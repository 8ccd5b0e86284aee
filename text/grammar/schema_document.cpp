// Identifiers and anchors are collected once (JSON Schema Core 2020-12, section 8.2).
#include "text/grammar/schema_document.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace medlar::grammar {
namespace {

// RFC 3986, section 5, as far as identifiers of schemas need it.
std::string join(const std::string& base, std::string_view reference) {
  const std::size_t scheme = reference.find(':');
  if (scheme != reference.npos && reference.find_first_of("/#") > scheme) return std::string(reference);
  const std::string plain = base.substr(0, base.find('#'));
  if (reference.empty()) return plain;
  if (reference.starts_with('#')) return plain + std::string(reference);
  if (reference.starts_with('/')) {
    const std::size_t authority = plain.find("://");
    const std::size_t path = authority == plain.npos ? 0 : plain.find('/', authority + 3);
    return plain.substr(0, path) + std::string(reference);
  }
  const std::size_t slash = plain.rfind('/');
  std::string directory = slash == plain.npos ? "" : plain.substr(0, slash + 1);
  while (reference.starts_with("./")) reference.remove_prefix(2);
  return directory + std::string(reference);
}

std::string unescape(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    unsigned value = 0;
    if (token[i] == '%' && i + 2 < token.size() &&
        std::from_chars(token.data() + i + 1, token.data() + i + 3, value, 16).ptr == token.data() + i + 3) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += token[i];
    }
  }
  for (const auto& [code, c] : {std::pair("~1", '/'), std::pair("~0", '~')})
    for (std::size_t at = 0; (at = out.find(code, at)) != out.npos; ++at) out.replace(at, 2, 1, c);
  return out;
}

}  // namespace

SchemaDocument::SchemaDocument(std::string_view text) : root_(parse_json(text)) {
  by_uri_[""] = &root_;
  index(root_, "");
}

void SchemaDocument::index(const Json& value, const std::string& base) {
  std::string own = base;
  const auto add = [&](const std::string& uri) {
    const auto [place, fresh] = by_uri_.try_emplace(uri, &value);
    if (!fresh && place->second != &value)
      throw Error(ErrorKind::usage, fmt::format("JSON schema: \"{}\" names two schemas", uri),
                  "give one of them another name");
  };
  if (value.is(Json::Kind::object)) {
    if (const Json* id = value.find("$id"); id && id->is(Json::Kind::string)) {
      own = join(base, id->text);
      own = own.substr(0, own.find('#'));
      add(own);
    }
    for (const char* key : {"$anchor", "$dynamicAnchor"})
      if (const Json* anchor = value.find(key); anchor && anchor->is(Json::Kind::string))
        add(own + "#" + anchor->text);
    base_of_[&value] = own;
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    // What stands in these is data, whatever it looks like.
    const bool data =
        value.is(Json::Kind::object) && (value.keys[i] == "enum" || value.keys[i] == "const" ||
                                         value.keys[i] == "examples" || value.keys[i] == "default");
    if (!data) index(value.items[i], own);
  }
}

const Json& SchemaDocument::resolve(const Json& schema, const std::string& reference) const {
  const auto base = base_of_.find(&schema);
  const std::string uri = join(base == base_of_.end() ? "" : base->second, reference);
  if (const auto it = by_uri_.find(uri); it != by_uri_.end()) return *it->second;
  const std::size_t hash = uri.find('#');
  const auto resource = by_uri_.find(uri.substr(0, hash));
  if (resource != by_uri_.end()) {
    if (hash == uri.npos || hash + 1 == uri.size()) return *resource->second;
    if (const Json* found = follow(*resource->second, std::string_view(uri).substr(hash + 1))) return *found;
    fail(ErrorKind::usage, schema, "$ref", fmt::format("\"{}\" leads nowhere", reference));
  }
  fail(ErrorKind::unsupported, schema, "$ref", fmt::format("\"{}\" is not in this document", reference),
       "put what it names under \"$defs\"");
}

const Json* SchemaDocument::follow(const Json& from, std::string_view pointer) const {
  const Json* at = &from;
  while (!pointer.empty()) {
    if (!pointer.starts_with('/')) return nullptr;
    const std::size_t end = pointer.find('/', 1);
    const std::string token = unescape(pointer.substr(1, end - 1));
    pointer = end == pointer.npos ? "" : pointer.substr(end);
    if (at->is(Json::Kind::object)) {
      at = at->find(token);
      if (!at) return nullptr;
    } else {
      std::size_t i = 0;
      const auto [stop, status] = std::from_chars(token.data(), token.data() + token.size(), i);
      if (status != std::errc() || stop != token.data() + token.size() || i >= at->items.size())
        return nullptr;
      at = &at->items[i];
    }
  }
  return at;
}

std::string SchemaDocument::pointer(const Json& part) const {
  struct Place {
    const Json* value;
    std::string path;
  };
  std::vector<Place> todo{{&root_, "#"}};
  while (!todo.empty()) {
    const Place place = std::move(todo.back());
    todo.pop_back();
    if (place.value == &part) return place.path;
    for (std::size_t i = 0; i < place.value->items.size(); ++i)
      todo.push_back(
          {&place.value->items[i],
           fmt::format("{}/{}", place.path,
                       place.value->is(Json::Kind::object) ? place.value->keys[i] : std::to_string(i))});
  }
  return "#";
}

void SchemaDocument::fail(ErrorKind kind, const Json& schema, std::string_view key,
                          const std::string& message, std::string hint) const {
  throw Error(kind,
              fmt::format("JSON schema, {}{}{}: {}", pointer(schema), key.empty() ? "" : "/", key, message),
              std::move(hint));
}

}  // namespace medlar::grammar
