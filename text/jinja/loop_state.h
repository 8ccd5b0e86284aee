// `loop`: what the body of a for statement can ask about it.
#pragma once

#include <optional>

#include "text/jinja/interpreter.h"
#include "text/jinja/member.h"

namespace medlar::jinja {

class LoopState final : public Object {
 public:
  // Over the items of `iterator`, which come from `iterable`, or from some of it where the loop has a filter.
  // A recursive loop runs again, on other items, when it is called.
  struct Source {
    const Loop& statement;
    ActivationPtr home;
    Value iterable;
    IteratorPtr iterator;
    int depth;  // of recursion, 0 outermost
  };
  LoopState(Interpreter& interpreter, Source source)
      : interpreter_(interpreter), source_(std::move(source)) {}

  // Moves on to the next item; false at the end.
  bool advance(Runtime& rt);
  const Value& current() const { return current_; }
  // The statement is over: what the body asked to remember is forgotten, so that nothing refers to itself.
  void finish();

  std::string_view type_name() const override { return "LoopContext"; }
  bool truthy(Runtime& rt) override { return *length(rt) > 0; }
  std::optional<std::size_t> length(Runtime& rt) override;
  IteratorPtr iterate(Runtime&) override;
  Value attribute(Runtime& rt, const Member& member) override;
  bool callable() const override { return true; }
  Value call(Runtime& rt, Arguments& arguments) override;
  void repr(Runtime& rt, TextBuilder& out) override;

  Value cycle(Arguments& arguments) const;
  Value changed(Runtime& rt, Arguments& arguments);

 private:
  std::int64_t index() const { return index0_ + 1; }
  // The item after the current one; unset at the end.
  const Value& peek(Runtime& rt);

  Interpreter& interpreter_;
  Source source_;
  std::int64_t index0_ = -1;
  std::optional<std::size_t> length_;
  Value before_, current_, after_, last_changed_;
  bool finished_ = false;
};

}  // namespace medlar::jinja
