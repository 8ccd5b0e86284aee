// Walks over statements, in the order in which Jinja visits their parts.
#include "text/jinja/mentions.h"

#include <algorithm>

#include "text/jinja/ast_walk.h"

namespace medlar::jinja {
namespace {

// f(statement) for every statement below; f returns whether to look inside.
template <class F>
void walk(const Body& body, const F& f);

template <class F>
void walk_inside(const Stmt& stmt, const F& f) {
  switch (stmt.kind) {
    case StmtKind::condition: {
      const auto& condition = static_cast<const Condition&>(stmt);
      for (const auto& branch : condition.branches) walk(branch.body, f);
      return walk(condition.otherwise, f);
    }
    case StmtKind::loop:
      walk(static_cast<const Loop&>(stmt).body, f);
      return walk(static_cast<const Loop&>(stmt).otherwise, f);
    case StmtKind::capture:
      return walk(static_cast<const Capture&>(stmt).body, f);
    case StmtKind::macro:
      return walk(static_cast<const MacroStmt&>(stmt).code.body, f);
    case StmtKind::call_block:
      return walk(static_cast<const CallBlock&>(stmt).code.body, f);
    case StmtKind::generation:
      return walk(static_cast<const Generation&>(stmt).code.body, f);
    case StmtKind::filter_block:
      return walk(static_cast<const FilterBlock&>(stmt).body, f);
    case StmtKind::with:
      return walk(static_cast<const With&>(stmt).body, f);
    case StmtKind::scope:
      return walk(static_cast<const ScopeStmt&>(stmt).body, f);
    case StmtKind::block:
      return walk(static_cast<const Block&>(stmt).body, f);
    default:
      return;
  }
}

template <class F>
void walk(const Body& body, const F& f) {
  for (const auto& stmt : body) {
    if (f(*stmt)) walk_inside(*stmt, f);
  }
}

class MentionFinder {
 public:
  explicit MentionFinder(std::span<const std::string_view> names) : open_(names.begin(), names.end()) {}

  void body(const Body& statements) {
    for (const auto& stmt : statements) statement(*stmt);
  }
  std::vector<std::string_view> take() { return std::move(found_); }

 private:
  void reads(const ExprPtr& expr) {
    for_each_name(expr, [this](const Name& name) {
      const auto open = std::find(open_.begin(), open_.end(), name.name);
      const bool known = std::find(found_.begin(), found_.end(), name.name) != found_.end();
      if (open != open_.end() && !known) found_.push_back(*open);
    });
  }

  void writes(const Target& target) {
    for_each_target(target, [this](const Target& t) {
      if (t.kind == Target::Kind::name) std::erase(open_, t.name);
    });
  }

  void macro(const MacroCode& code) {
    for (const auto& parameter : code.parameters) std::erase(open_, parameter.name);
    for (const auto& parameter : code.parameters) reads(parameter.fallback);
    body(code.body);
  }

  void statement(const Stmt& stmt) {
    switch (stmt.kind) {
      case StmtKind::print:
        return reads(static_cast<const Print&>(stmt).value);
      case StmtKind::condition: {
        const auto& condition = static_cast<const Condition&>(stmt);
        for (const auto& branch : condition.branches) {
          reads(branch.test);
          body(branch.body);
        }
        return body(condition.otherwise);
      }
      case StmtKind::loop: {
        const auto& loop = static_cast<const Loop&>(stmt);
        writes(loop.target);
        reads(loop.iterable);
        body(loop.body);
        body(loop.otherwise);
        return reads(loop.filter);
      }
      case StmtKind::assign:
        writes(static_cast<const Assign&>(stmt).target);
        return reads(static_cast<const Assign&>(stmt).value);
      case StmtKind::capture:
        writes(static_cast<const Capture&>(stmt).target);
        reads(static_cast<const Capture&>(stmt).filter);
        return body(static_cast<const Capture&>(stmt).body);
      case StmtKind::macro:
        return macro(static_cast<const MacroStmt&>(stmt).code);
      case StmtKind::call_block:
        reads(static_cast<const CallBlock&>(stmt).call);
        return macro(static_cast<const CallBlock&>(stmt).code);
      case StmtKind::generation:
        return macro(static_cast<const Generation&>(stmt).code);
      case StmtKind::filter_block:
        body(static_cast<const FilterBlock&>(stmt).body);
        return reads(static_cast<const FilterBlock&>(stmt).filter);
      case StmtKind::with: {
        const auto& with = static_cast<const With&>(stmt);
        for (const auto& [target, value] : with.values) writes(target);
        for (const auto& [target, value] : with.values) reads(value);
        return body(with.body);
      }
      case StmtKind::scope:
        return body(static_cast<const ScopeStmt&>(stmt).body);
      case StmtKind::unavailable:
        return reads(static_cast<const Unavailable&>(stmt).source);
      default:
        return;  // blocks are functions of their own
    }
  }

  std::vector<std::string_view> open_;
  std::vector<std::string_view> found_;
};

bool names_loop(const Target& target) {
  bool found = false;
  for_each_target(target,
                  [&](const Target& t) { found |= t.kind == Target::Kind::name && t.name == "loop"; });
  return found;
}

}  // namespace

std::vector<std::string_view> mentioned(const Body& body, std::span<const std::string_view> names) {
  MentionFinder finder(names);
  finder.body(body);
  return finder.take();
}

bool assigns_loop(const Loop& loop) {
  bool found = names_loop(loop.target);
  const auto look = [&found](const Stmt& stmt) {
    if (stmt.kind == StmtKind::assign) found |= names_loop(static_cast<const Assign&>(stmt).target);
    if (stmt.kind == StmtKind::capture) found |= names_loop(static_cast<const Capture&>(stmt).target);
    if (stmt.kind == StmtKind::loop) found |= names_loop(static_cast<const Loop&>(stmt).target);
    return !found;
  };
  walk(loop.body, look);
  walk(loop.otherwise, look);
  return found;
}

bool has_scoped_block(const Body& body) {
  bool found = false;
  walk(body, [&found](const Stmt& stmt) {
    found |= stmt.kind == StmtKind::block && static_cast<const Block&>(stmt).scoped;
    return !found;
  });
  return found;
}

}  // namespace medlar::jinja
