// Two passes over every frame: collect() finds its variables without entering the frames inside, then bind()
// gives every name its slot and goes on into those.
#include "text/jinja/scope.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "text/jinja/ast_walk.h"
#include "text/jinja/lexer.h"
#include "text/jinja/mentions.h"
#include "text/jinja/symbols.h"

namespace medlar::jinja {
namespace {

void read_names(Symbols& symbols, const ExprPtr& expr) {
  for_each_name(expr, [&](const Name& name) { symbols.read(name.name); });
}

void write_names(Symbols& symbols, const Target& target) {
  for_each_target(target, [&](const Target& t) {
    if (t.kind == Target::Kind::name) symbols.write(t.name);
    if (t.kind == Target::Kind::attribute) symbols.read(t.name);
  });
}

void parameter_names(Symbols& symbols, const Target& target) {
  for_each_target(target, [&](const Target& t) {
    if (t.kind == Target::Kind::name) symbols.parameter(t.name);
  });
}

void collect(Symbols& symbols, const Body& body);

void collect_condition(Symbols& symbols, const Condition& condition) {
  const auto& branches = condition.branches;
  read_names(symbols, branches[0].test);
  Symbols first = Symbols::branch(symbols);
  collect(first, branches[0].body);
  Symbols others = Symbols::branch(symbols);
  for (std::size_t i = 1; i < branches.size(); ++i) {
    read_names(others, branches[i].test);
    Symbols one = Symbols::branch(others);
    collect(one, branches[i].body);
    others.join({&one});
  }
  Symbols otherwise = Symbols::branch(symbols);
  collect(otherwise, condition.otherwise);
  symbols.join({&first, &others, &otherwise});
}

void collect(Symbols& symbols, const Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::print:
      return read_names(symbols, static_cast<const Print&>(stmt).value);
    case StmtKind::condition:
      return collect_condition(symbols, static_cast<const Condition&>(stmt));
    case StmtKind::loop:
      return read_names(symbols, static_cast<const Loop&>(stmt).iterable);
    case StmtKind::assign:
      read_names(symbols, static_cast<const Assign&>(stmt).value);
      return write_names(symbols, static_cast<const Assign&>(stmt).target);
    case StmtKind::capture:
      return write_names(symbols, static_cast<const Capture&>(stmt).target);
    case StmtKind::macro:
      return symbols.write(static_cast<const MacroStmt&>(stmt).code.name);
    case StmtKind::call_block:
      return read_names(symbols, static_cast<const CallBlock&>(stmt).call);
    case StmtKind::filter_block:
      return read_names(symbols, static_cast<const FilterBlock&>(stmt).filter);
    case StmtKind::with:
      for (const auto& [target, value] : static_cast<const With&>(stmt).values) read_names(symbols, value);
      return;
    case StmtKind::unavailable: {
      const auto& unavailable = static_cast<const Unavailable&>(stmt);
      read_names(symbols, unavailable.source);
      for (const Target& name : unavailable.names) write_names(symbols, name);
      return;
    }
    default:
      return;
  }
}

void collect(Symbols& symbols, const Body& body) {
  for (const auto& stmt : body) collect(symbols, *stmt);
}

// Where the binder is.
struct Place {
  Symbols& symbols;
  FunctionSlots& function;
  bool top = false;   // assignments are exported to blocks
  bool soft = false;  // inside an if: unknown filters are noticed when reached
  bool loop = false;  // break and continue have a loop to act on
};

class Binder {
 public:
  void program(Program& program) {
    FunctionSlots function(nullptr);
    Symbols symbols(nullptr, function);
    collect(symbols, program.body);
    bind(program.body, {.symbols = symbols, .function = function, .top = true});
    program.scope = {.slots = function.count(), .frame = symbols.frame()};
  }

 private:
  static void require_known(Builtin function, std::string_view what, const std::string& name, int line,
                            bool soft) {
    if (function == nullptr && !soft) syntax_error(line, fmt::format("no {} named '{}'", what, name));
  }

  void bind(const ExprPtr& expr, const Place& place) {
    if (!expr) return;
    switch (expr->kind) {
      case ExprKind::name: {
        auto& name = static_cast<Name&>(*expr);
        name.slot = place.symbols.slot(name.name, place.function);
        return;
      }
      case ExprKind::filter: {
        const auto& filter = static_cast<const Filter&>(*expr);
        require_known(filter.function, "filter", filter.name, filter.line, place.soft);
        break;
      }
      case ExprKind::test: {
        const auto& test = static_cast<const Test&>(*expr);
        require_known(test.function, "test", test.name, test.line, place.soft);
        break;
      }
      default:
        break;
    }
    Place inside = place;
    inside.soft = place.soft || expr->kind == ExprKind::conditional;
    for_each_child(*expr, [&](const ExprPtr& child) { bind(child, inside); });
  }

  void bind(Target& target, const Place& place) {
    target.exported = place.top && target.kind == Target::Kind::name;
    if (target.kind == Target::Kind::tuple) {
      for (Target& item : target.items) bind(item, place);
    } else {
      target.slot = place.symbols.slot(target.name, place.function);
    }
  }

  void bind(Body& body, const Place& place) {
    for (const auto& stmt : body) bind(*stmt, place);
  }

  void bind(Stmt& stmt, const Place& place) {
    switch (stmt.kind) {
      case StmtKind::text:
        return;
      case StmtKind::print:
        return bind(static_cast<Print&>(stmt).value, place);
      case StmtKind::condition:
        return condition(static_cast<Condition&>(stmt), place);
      case StmtKind::loop:
        return loop(static_cast<Loop&>(stmt), place);
      case StmtKind::assign:
        bind(static_cast<Assign&>(stmt).value, place);
        return bind(static_cast<Assign&>(stmt).target, place);
      case StmtKind::capture:
        return capture(static_cast<Capture&>(stmt), place);
      case StmtKind::macro: {
        auto& macro_stmt = static_cast<MacroStmt&>(stmt);
        macro(macro_stmt.code, place);
        macro_stmt.slot = place.symbols.slot(macro_stmt.code.name, place.function);
        macro_stmt.exported = place.top;
        return;
      }
      case StmtKind::call_block:
        bind(static_cast<CallBlock&>(stmt).call, place);
        return macro(static_cast<CallBlock&>(stmt).code, place);
      case StmtKind::generation:
        return macro(static_cast<Generation&>(stmt).code, place);
      case StmtKind::filter_block: {
        auto& block = static_cast<FilterBlock&>(stmt);
        inner(block.body, block.filter, block.frame, place);
        return;
      }
      case StmtKind::with:
        return with(static_cast<With&>(stmt), place);
      case StmtKind::scope: {
        auto& scope = static_cast<ScopeStmt&>(stmt);
        return inner(scope.body, nullptr, scope.frame, place);
      }
      case StmtKind::block:
        return block(static_cast<Block&>(stmt), place);
      case StmtKind::loop_break:
      case StmtKind::loop_continue:
        if (!place.loop) syntax_error(stmt.line, "break and continue need a loop around them");
        return;
      case StmtKind::unavailable:
        return bind(static_cast<Unavailable&>(stmt).source, place);
    }
  }

  void condition(Condition& condition, Place place) {
    place.soft = true;
    for (auto& branch : condition.branches) {
      bind(branch.test, place);
      bind(branch.body, place);
    }
    bind(condition.otherwise, place);
  }

  // A body in a frame of its own, and the filters that see that frame.
  void inner(Body& body, const ExprPtr& filter, Frame& frame, const Place& place) {
    Symbols symbols(&place.symbols, place.function);
    collect(symbols, body);
    read_names(symbols, filter);
    const Place inside{.symbols = symbols, .function = place.function, .loop = place.loop};
    bind(body, inside);
    bind(filter, inside);
    frame = symbols.frame();
  }

  void capture(Capture& capture, const Place& place) {
    inner(capture.body, capture.filter, capture.frame, place);
    bind(capture.target, place);
  }

  void with(With& with, const Place& place) {
    for (auto& [target, value] : with.values) bind(value, place);
    Symbols symbols(&place.symbols, place.function);
    for (const auto& [target, value] : with.values) parameter_names(symbols, target);
    collect(symbols, with.body);
    const Place inside{.symbols = symbols, .function = place.function, .loop = place.loop};
    for (auto& [target, value] : with.values) bind(target, inside);
    bind(with.body, inside);
    with.frame = symbols.frame();
  }

  void loop_filter(Loop& loop, const Place& place) {
    FunctionSlots function(&place.function);
    Symbols symbols(&place.symbols, function);
    parameter_names(symbols, loop.target);
    read_names(symbols, loop.filter);
    const Place inside{.symbols = symbols, .function = function};
    loop.filter_target = loop.target;
    bind(loop.filter_target, inside);
    bind(loop.filter, inside);
    loop.filter_scope = {.slots = function.count(), .frame = symbols.frame()};
  }

  void loop(Loop& loop, const Place& place) {
    if (assigns_loop(loop)) syntax_error(loop.line, "can't assign to special loop variable in for-loop");
    bind(loop.iterable, place);
    if (loop.filter) loop_filter(loop, place);
    FunctionSlots recursive(&place.function);
    FunctionSlots& function = loop.recursive ? recursive : place.function;

    Symbols symbols(&place.symbols, function);
    constexpr std::array<std::string_view, 1> kLoop = {"loop"};
    loop.extended = loop.recursive || !mentioned(loop.body, kLoop).empty() || has_scoped_block(loop.body);
    if (loop.extended) symbols.parameter("loop");
    parameter_names(symbols, loop.target);
    collect(symbols, loop.body);
    const Place inside{.symbols = symbols, .function = function, .loop = true};
    bind(loop.target, inside);
    bind(loop.body, inside);
    if (loop.extended) loop.loop_slot = symbols.slot("loop", function);
    loop.body_frame = symbols.frame();

    Symbols otherwise(&place.symbols, function);
    collect(otherwise, loop.otherwise);
    bind(loop.otherwise, {.symbols = otherwise, .function = function, .loop = place.loop && !loop.recursive});
    loop.otherwise_frame = otherwise.frame();
    loop.recursive_scope.slots = recursive.count();
  }

  void special_names(MacroCode& code, Symbols& symbols) {
    constexpr std::array<std::string_view, 3> kSpecial = {"caller", "kwargs", "varargs"};
    const auto used = mentioned(code.body, kSpecial);
    const auto uses = [&](std::string_view name) {
      return std::find(used.begin(), used.end(), name) != used.end();
    };
    const auto declared = [&](std::string_view name) {
      return std::find_if(code.parameters.begin(), code.parameters.end(),
                          [&](const auto& p) { return p.name == name; });
    };
    const auto caller = declared("caller");
    if (uses("caller") && caller != code.parameters.end() && !caller->fallback) {
      syntax_error(code.line, "the special \"caller\" argument must be omitted or be given a default");
    }
    code.uses_caller = uses("caller") && caller == code.parameters.end();
    code.uses_kwargs = uses("kwargs") && declared("kwargs") == code.parameters.end();
    code.uses_varargs = uses("varargs") && declared("varargs") == code.parameters.end();
    if (code.uses_caller) symbols.parameter("caller");
    if (code.uses_kwargs) symbols.parameter("kwargs");
    if (code.uses_varargs) symbols.parameter("varargs");
  }

  void macro(MacroCode& code, const Place& place) {
    FunctionSlots function(&place.function);
    Symbols symbols(&place.symbols, function);
    for (const auto& parameter : code.parameters) symbols.parameter(parameter.name);
    for (const auto& parameter : code.parameters) read_names(symbols, parameter.fallback);
    collect(symbols, code.body);
    special_names(code, symbols);
    const Place inside{.symbols = symbols, .function = function};
    for (auto& parameter : code.parameters) {
      bind(parameter.fallback, inside);
      parameter.slot = symbols.slot(parameter.name, function).index;
    }
    if (code.uses_caller) code.caller_slot = symbols.slot("caller", function).index;
    if (code.uses_kwargs) code.kwargs_slot = symbols.slot("kwargs", function).index;
    if (code.uses_varargs) code.varargs_slot = symbols.slot("varargs", function).index;
    bind(code.body, inside);
    code.scope = {.slots = function.count(), .frame = symbols.frame()};
  }

  // A block sees the context, what the top level has exported and, when scoped, the variables around it.
  void block(Block& block, const Place& place) {
    if (block.scoped) {
      for (const std::string& name : place.symbols.written()) {
        block.visible.emplace_back(name, place.symbols.slot(name, place.function));
      }
    }
    FunctionSlots function(nullptr);
    Symbols symbols(nullptr, function);
    collect(symbols, block.body);
    bind(block.body, {.symbols = symbols, .function = function});
    block.scope = {.slots = function.count(), .frame = symbols.frame()};
  }
};

}  // namespace

void bind_names(Program& program) { Binder().program(program); }

}  // namespace medlar::jinja
