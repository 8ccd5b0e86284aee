#include "server/constraints.h"

#include <boost/json/serialize.hpp>
#include <utility>

#include <fmt/format.h>

#include "server/api_error.h"

namespace medlar::server {
namespace {

namespace json = boost::json;
using Notation = ContentForm::Notation;

constexpr std::size_t kKept = 64;

grammar::Rules rules_of(const ContentForm& form) {
  try {
    switch (form.notation) {
      case Notation::gbnf:
        return grammar::parse_gbnf(form.source);
      case Notation::json_schema:
        return grammar::parse_json_schema(form.source);
      case Notation::regex:
        return grammar::parse_regex(form.source);
    }
  } catch (const Error& e) {
    throw ApiError(400, fmt::format("{}: {}", form.param, e.what()),
                   {.param = form.param, .code = "invalid_grammar", .hint = e.hint()});
  }
  std::unreachable();
}

// Any JSON of the types that a schema names.
std::string loosened(const json::value& schema) {
  const json::value* type = schema.is_object() ? schema.get_object().if_contains("type") : nullptr;
  return type ? json::serialize(json::object{{"type", *type}}) : "true";
}

grammar::Rules arguments_rules(const json::value& schema, bool strict, std::vector<std::string>& relaxed) {
  try {
    return grammar::parse_json_schema(schema.is_null() ? R"({"type":"object"})" : json::serialize(schema));
  } catch (const Error& e) {
    if (strict)
      throw ApiError(400, fmt::format("tools: {}", e.what()),
                     {.param = "tools", .code = "invalid_grammar", .hint = e.hint()});
    relaxed.push_back(e.what());
    return grammar::parse_json_schema(loosened(schema));
  }
}

std::string key_of(const ContentForm& form) {
  return fmt::format("{}{}", static_cast<int>(form.notation), form.source);
}

}  // namespace

Constraints::Constraints(const Engine& engine) : engine_(engine) {
  const text::Tokenizer& tokenizer = engine.tokenizer();
  for (text::TokenId id = 0; id < tokenizer.size(); ++id)
    if (tokenizer.type(id) == text::TokenType::control)
      specials_.push_back({id, tokenizer.piece(id, {.special = true})});
}

template <class Make>
Constraints::Compiled Constraints::cached(std::string key, Make&& make) {
  const auto find = [&]() -> const Compiled* {
    for (auto it = latest_.begin(); it != latest_.end(); ++it) {
      if (it->first != key) continue;
      latest_.splice(latest_.begin(), latest_, it);
      return &latest_.front().second;
    }
    return nullptr;
  };
  {
    const std::lock_guard lock(mutex_);
    if (const Compiled* known = find()) return *known;
  }
  Compiled made = make();
  const std::lock_guard lock(mutex_);
  if (const Compiled* known = find()) return *known;
  latest_.emplace_front(std::move(key), made);
  if (latest_.size() > kKept) latest_.pop_back();
  return made;
}

Constraints::Compiled Constraints::get(const ContentForm& form) {
  return cached("content" + key_of(form), [&] {
    const grammar::Rules rules = rules_of(form);
    try {
      return Compiled{.grammar = std::make_shared<grammar::Constraint>(rules, engine_.vocabulary())};
    } catch (const Error& e) {
      throw ApiError(400, fmt::format("{}: {}", form.param, e.what()),
                     {.param = form.param, .code = "invalid_grammar", .hint = e.hint()});
    }
  });
}

Constraints::Compiled Constraints::get(const reply::ToolGrammar& tools,
                                       const std::optional<ContentForm>& content, bool strict) {
  std::string key = fmt::format("reply{}{}\n", strict, tools.gbnf);
  for (const reply::ToolGrammar::Hole& hole : tools.holes)
    key += fmt::format("{} {}\n", hole.rule, json::serialize(hole.schema));
  if (content) key += key_of(*content);
  return cached(std::move(key), [&] {
    Compiled compiled;
    std::vector<grammar::GbnfHole> holes;
    for (const reply::ToolGrammar::Hole& hole : tools.holes)
      holes.push_back({hole.rule, arguments_rules(hole.schema, strict, compiled.relaxed)});
    if (content) holes.push_back({std::string(reply::ToolGrammar::kContent), rules_of(*content)});
    const std::string param = content ? content->param : "tools";
    try {
      const grammar::Rules rules = grammar::parse_gbnf(tools.gbnf, holes, specials_);
      compiled.grammar = std::make_shared<grammar::Constraint>(rules, engine_.vocabulary());
    } catch (const Error& e) {
      throw ApiError(400, fmt::format("{}: {}", param, e.what()),
                     {.param = param, .code = "invalid_grammar", .hint = e.hint()});
    }
    return compiled;
  });
}

}  // namespace medlar::server
