// A parsed template: expressions and statements, with every variable resolved to a slot.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/compare.h"
#include "text/jinja/member.h"
#include "text/jinja/operators.h"
#include "text/jinja/value.h"

namespace medlar::jinja {

// Where a variable lives: `hops` activations outwards, then which slot. See scope.h.
struct Slot {
  std::uint16_t hops = 0;
  std::uint16_t index = 0;
};

// ---- Expressions

enum class ExprKind : std::uint8_t {
  constant,
  name,
  tuple,
  list,
  dict,
  unary,
  logical,
  binary,
  concat,
  compare,
  conditional,
  attribute,
  item,
  slice,
  call,
  filter,
  test,
};

struct Expr {
  Expr(ExprKind k, int at) : kind(k), line(at) {}
  virtual ~Expr() = default;

  ExprKind kind;
  int line;
  int height = 1;  // of the tree below; bounds recursion over it
};
using ExprPtr = std::unique_ptr<Expr>;
using ExprList = std::vector<ExprPtr>;

template <ExprKind K>
struct ExprOf : Expr {
  explicit ExprOf(int at) : Expr(K, at) {}
};

struct Constant : ExprOf<ExprKind::constant> {
  using ExprOf::ExprOf;
  Value value;
};

struct Name : ExprOf<ExprKind::name> {
  using ExprOf::ExprOf;
  std::string name;
  Slot slot;
};

struct TupleExpr : ExprOf<ExprKind::tuple> {
  using ExprOf::ExprOf;
  ExprList items;
};

struct ListExpr : ExprOf<ExprKind::list> {
  using ExprOf::ExprOf;
  ExprList items;
};

struct DictExpr : ExprOf<ExprKind::dict> {
  using ExprOf::ExprOf;
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};

struct Unary : ExprOf<ExprKind::unary> {
  using ExprOf::ExprOf;
  enum class Op : std::uint8_t { negate, plus, invert } op = Op::invert;
  ExprPtr operand;
};

// `and`, `or`: the value of the operand that decided.
struct Logical : ExprOf<ExprKind::logical> {
  using ExprOf::ExprOf;
  bool conjunction = true;
  ExprPtr left, right;
};

struct Binary : ExprOf<ExprKind::binary> {
  using ExprOf::ExprOf;
  BinaryOp op = BinaryOp::add;
  ExprPtr left, right;
};

// a ~ b ~ c
struct Concat : ExprOf<ExprKind::concat> {
  using ExprOf::ExprOf;
  ExprList parts;
};

// a < b in c: every neighbouring pair, up to the first that fails.
struct Compare : ExprOf<ExprKind::compare> {
  using ExprOf::ExprOf;
  enum class Op : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };
  ExprPtr first;
  std::vector<std::pair<Op, ExprPtr>> rest;
};

struct Conditional : ExprOf<ExprKind::conditional> {
  using ExprOf::ExprOf;
  ExprPtr test, then, otherwise;  // without `otherwise`: undefined
};

struct Attribute : ExprOf<ExprKind::attribute> {
  Attribute(int at, std::string name) : ExprOf(at), member(std::move(name)) {}
  ExprPtr object;
  Member member;
};

struct Item : ExprOf<ExprKind::item> {
  using ExprOf::ExprOf;
  ExprPtr object, key;
  std::unique_ptr<Member> member;  // of a constant string key
};

struct SliceExpr : ExprOf<ExprKind::slice> {
  using ExprOf::ExprOf;
  ExprPtr object, start, stop, step;  // null where absent
};

struct CallArguments {
  ExprList positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr more_positional, more_named;  // *args, **kwargs
};

struct Call : ExprOf<ExprKind::call> {
  using ExprOf::ExprOf;
  ExprPtr function;
  CallArguments arguments;
};

// Null functions are names that no filter or test has: an error when they are reached.
struct Filter : ExprOf<ExprKind::filter> {
  using ExprOf::ExprOf;
  ExprPtr input;  // null: what the enclosing filter or set block captured
  std::string name;
  Builtin function = nullptr;
  CallArguments arguments;
};

struct Test : ExprOf<ExprKind::test> {
  using ExprOf::ExprOf;
  ExprPtr input;
  std::string name;
  Builtin function = nullptr;
  CallArguments arguments;
};

// ---- Scopes, filled in by scope.cpp

// What a variable of a frame is when the frame is entered.
struct Load {
  enum class From : std::uint8_t { nothing, context, variable };
  std::uint16_t index = 0;
  From from = From::nothing;
  Slot source;       // of `variable`
  std::string name;  // of `context`
};

// A scope inside a function: loops, with, filter and set blocks.
struct Frame {
  std::vector<Load> loads;              // at its beginning
  std::vector<std::uint16_t> unloaded;  // slots that lose their value at its end
};

// What runs in an activation of its own: the template, macros, blocks, recursive loops, filters of loops.
struct FunctionScope {
  std::uint16_t slots = 0;
  Frame frame;
};

// ---- Statements

enum class StmtKind : std::uint8_t {
  text,
  print,
  condition,
  loop,
  assign,
  capture,
  macro,
  call_block,
  generation,
  filter_block,
  with,
  scope,
  block,
  loop_break,
  loop_continue,
  unavailable,
};

struct Stmt {
  Stmt(StmtKind k, int at) : kind(k), line(at) {}
  virtual ~Stmt() = default;

  StmtKind kind;
  int line;
};
using Body = std::vector<std::unique_ptr<Stmt>>;

template <StmtKind K>
struct StmtOf : Stmt {
  explicit StmtOf(int at) : Stmt(K, at) {}
};

// What can stand left of an equals sign, or between `for` and `in`.
struct Target {
  enum class Kind : std::uint8_t { name, attribute, tuple } kind = Kind::name;
  int line = 0;
  std::string name;       // the variable; of `attribute`, the namespace's
  std::string attribute;  // of the namespace
  Slot slot;
  bool exported = false;  // at the top level: blocks see it
  std::vector<Target> items;
};

struct Text : StmtOf<StmtKind::text> {
  using StmtOf::StmtOf;
  std::string text;
};

struct Print : StmtOf<StmtKind::print> {
  using StmtOf::StmtOf;
  ExprPtr value;
};

struct Condition : StmtOf<StmtKind::condition> {
  using StmtOf::StmtOf;
  struct Branch {
    ExprPtr test;
    Body body;
  };
  std::vector<Branch> branches;
  Body otherwise;
};

struct Loop : StmtOf<StmtKind::loop> {
  using StmtOf::StmtOf;
  Target target;
  ExprPtr iterable, filter;  // `filter` may be null
  Body body, otherwise;
  bool recursive = false;

  bool extended = false;  // the body uses `loop`
  Slot loop_slot;
  Frame body_frame, otherwise_frame;
  FunctionScope filter_scope;     // with a filter
  Target filter_target;           // the target, in the filter's activation
  FunctionScope recursive_scope;  // when recursive; the frames are inside it
};

struct Assign : StmtOf<StmtKind::assign> {
  using StmtOf::StmtOf;
  Target target;
  ExprPtr value;
};

// {% set x %}...{% endset %}
struct Capture : StmtOf<StmtKind::capture> {
  using StmtOf::StmtOf;
  Target target;
  ExprPtr filter;  // null, or filters whose innermost has no input
  Body body;
  Frame frame;
};

// A macro, or the body that a call block hands over.
struct MacroCode {
  struct Parameter {
    std::string name;
    ExprPtr fallback;  // null: none
    std::uint16_t slot = 0;
  };
  std::string name;  // empty: anonymous
  std::vector<Parameter> parameters;
  Body body;
  FunctionScope scope;
  int line = 0;

  // Whether the body mentions these without declaring them, and their slots.
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
  std::uint16_t caller_slot = 0, kwargs_slot = 0, varargs_slot = 0;
};

struct MacroStmt : StmtOf<StmtKind::macro> {
  using StmtOf::StmtOf;
  MacroCode code;
  Slot slot;  // where the macro itself goes
  bool exported = false;
};

struct CallBlock : StmtOf<StmtKind::call_block> {
  using StmtOf::StmtOf;
  ExprPtr call;  // a Call
  MacroCode code;
};

// What the assistant says, marked for training. Renders as its body.
struct Generation : StmtOf<StmtKind::generation> {
  using StmtOf::StmtOf;
  MacroCode code;
};

struct FilterBlock : StmtOf<StmtKind::filter_block> {
  using StmtOf::StmtOf;
  ExprPtr filter;
  Body body;
  Frame frame;
};

struct With : StmtOf<StmtKind::with> {
  using StmtOf::StmtOf;
  std::vector<std::pair<Target, ExprPtr>> values;
  Body body;
  Frame frame;
};

// {% autoescape false %}: a scope and nothing else.
struct ScopeStmt : StmtOf<StmtKind::scope> {
  using StmtOf::StmtOf;
  Body body;
  Frame frame;
};

struct Block : StmtOf<StmtKind::block> {
  using StmtOf::StmtOf;
  std::string name;
  bool scoped = false, required = false;
  Body body;
  FunctionScope scope;
  std::vector<std::pair<std::string, Slot>> visible;  // of a scoped block: the variables around it
};

struct Break : StmtOf<StmtKind::loop_break> {
  using StmtOf::StmtOf;
};
struct Continue : StmtOf<StmtKind::loop_continue> {
  using StmtOf::StmtOf;
};

// include, import, extends: parsed, and an error when reached.
struct Unavailable : StmtOf<StmtKind::unavailable> {
  using StmtOf::StmtOf;
  std::string tag;
  ExprPtr source;
  std::vector<Target> names;  // that an import would assign
};

struct Program {
  Body body;
  FunctionScope scope;
  bool has_blocks = false;
};

}  // namespace medlar::jinja
