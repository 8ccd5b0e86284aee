// Runs a program: a walk over its tree that appends to a text.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"

namespace medlar::jinja {

// The variables of one run of a function, inside those of the function it was written in.
class Activation final : public Mutable, public std::enable_shared_from_this<Activation> {
 public:
  Activation(Runtime& rt, std::shared_ptr<Activation> outer, std::uint16_t slots);

  Value& at(std::uint16_t index) { return slots_[index]; }
  Value& at(Slot slot) {
    Activation* home = this;
    for (int i = 0; i < slot.hops; ++i) home = home->outer_.get();
    return home->slots_[slot.index];
  }
  void clear() noexcept override;

  // Keeps it until the rendering ends: a macro refers to it, and it may refer to that macro.
  void keep(Runtime& rt);

 private:
  std::shared_ptr<Activation> outer_;
  std::vector<Value> slots_;
  Charge charge_;
  bool kept_ = false;
};
using ActivationPtr = std::shared_ptr<Activation>;

class LoopState;

class Interpreter {
 public:
  using Span = std::pair<std::size_t, std::size_t>;

  // `context` is a dict. All must outlive the interpreter.
  Interpreter(const Program& program, const Value& context, Runtime& rt, TextBuilder& out)
      : program_(program), context_(context), rt_(rt), main_(out), out_(&out) {}

  void run();
  // Bytes [first, last) of the output that generation blocks made.
  const std::vector<Span>& generated() const { return generated_; }

  // For the objects that run parts of the program.
  Value call_macro(const MacroCode& code, const ActivationPtr& home, Arguments& arguments);
  Value recurse(const Loop& loop, const ActivationPtr& home, const Value& iterable, int depth);
  bool passes_filter(const Loop& loop, Activation& activation, Value& item);
  void enter(const Frame& frame, Activation& activation);

 private:
  enum class Flow { next, loop_break, loop_continue };

  // ---- Expressions
  Value eval(const Expr& expr, Activation& activation);
  Value eval(const ExprPtr& expr, Activation& activation) { return eval(*expr, activation); }
  bool holds(const ExprPtr& expr, Activation& activation);
  Value eval_name(const Name& name, Activation& activation);
  Value eval_dict(const DictExpr& dict, Activation& activation);
  Value eval_unary(const Unary& unary, Activation& activation);
  Value eval_logical(const Logical& logical, Activation& activation);
  Value eval_binary(const Binary& binary, Activation& activation);
  Value eval_concat(const Concat& concat, Activation& activation);
  Value eval_compare(const Compare& compare, Activation& activation);
  Value eval_conditional(const Conditional& conditional, Activation& activation);
  Value eval_attribute(const Attribute& attribute, Activation& activation);
  Value eval_item(const Item& item, Activation& activation);
  Value eval_slice(const SliceExpr& slice, Activation& activation);
  // `caller`: what a call block hands over, or unset.
  Value eval_call(const Call& call, Activation& activation, const Value& caller);
  Value eval_filter(const Filter& filter, Activation& activation);
  Value eval_test(const Test& test, Activation& activation);
  std::vector<Value> eval_items(const ExprList& items, Activation& activation);
  Arguments eval_arguments(const CallArguments& arguments, Activation& activation);

  // ---- Statements
  Flow exec(const Body& body, Activation& activation);
  Flow exec(const Stmt& stmt, Activation& activation);
  Flow exec_condition(const Condition& condition, Activation& activation);
  Flow exec_loop(const Loop& loop, Activation& activation);
  Flow run_loop(const Loop& loop, const ActivationPtr& home, Activation& activation, const Value& iterable,
                int depth);
  // One turn of a loop; false ends it.
  bool run_turn(const Loop& loop, Activation& activation, const Value& item,
                const std::shared_ptr<LoopState>& state, bool& completed);
  Flow exec_capture(const Capture& capture, Activation& activation);
  Flow exec_filter_block(const FilterBlock& block, Activation& activation);
  Flow exec_with(const With& with, Activation& activation);
  void exec_assign(const Assign& assign, Activation& activation);
  void exec_macro(const MacroStmt& macro, Activation& activation);
  void exec_call_block(const CallBlock& block, Activation& activation);
  void exec_generation(const Generation& generation, Activation& activation);
  void exec_block(const Block& block, Activation& activation);
  // The body's text in `text`.
  Flow captured(const Body& body, Activation& activation, Value& text);
  // The value that the filters make of a captured text.
  Value filtered(const ExprPtr& filter, Value text, Activation& activation);

  void assign(const Target& target, Value value, Activation& activation);
  void expect_namespaces(const Target& target, Activation& activation);
  Value value_of(const Target& target, Activation& activation);
  Value resolve(const std::string& name);
  Value make_macro(const MacroCode& code, Activation& home);

  // The variables that scoped blocks can see, innermost first.
  struct Visible {
    std::map<std::string, Value> variables;
    const Visible* outer;
  };

  const Program& program_;
  const Value& context_;
  Runtime& rt_;
  TextBuilder& main_;
  TextBuilder* out_;
  Value filter_input_;                    // of the innermost filter without one of its own
  std::map<std::string, Value> exports_;  // the top level's variables, where the program has blocks
  const Visible* visible_ = nullptr;
  std::vector<Span> generated_;
};

}  // namespace medlar::jinja
