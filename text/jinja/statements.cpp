// Executing statements.
#include <algorithm>

#include "text/jinja/interpreter.h"
#include "text/jinja/loop_state.h"
#include "text/jinja/objects.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"

namespace medlar::jinja {
namespace {

// Sends output elsewhere for the scope's duration.
class Redirect {
 public:
  Redirect(TextBuilder*& out, TextBuilder& to) : out_(out), before_(std::exchange(out, &to)) {}
  ~Redirect() { out_ = before_; }
  Redirect(const Redirect&) = delete;
  Redirect& operator=(const Redirect&) = delete;

 private:
  TextBuilder*& out_;
  TextBuilder* before_;
};

// The items of a loop that pass its filter, asked for one by one: the body can change what the next one
// meets.
class FilteredItems final : public Iterator {
 public:
  FilteredItems(Interpreter& interpreter, const Loop& loop, IteratorPtr source, ActivationPtr activation)
      : interpreter_(interpreter),
        loop_(loop),
        source_(std::move(source)),
        activation_(std::move(activation)) {}
  bool next(Runtime& rt, Value& out) override {
    if (!entered_) interpreter_.enter(loop_.filter_scope.frame, *activation_);
    entered_ = true;
    while (source_->next(rt, out)) {
      if (interpreter_.passes_filter(loop_, *activation_, out)) return true;
    }
    return false;
  }

 private:
  Interpreter& interpreter_;
  const Loop& loop_;
  IteratorPtr source_;
  ActivationPtr activation_;
  bool entered_ = false;
};

// Lets a loop's state forget at the end, however the end comes.
class Finish {
 public:
  explicit Finish(LoopState* state) : state_(state) {}
  ~Finish() {
    if (state_ != nullptr) state_->finish();
  }
  Finish(const Finish&) = delete;
  Finish& operator=(const Finish&) = delete;

 private:
  LoopState* state_;
};

// Empties a frame's variables at its end, however the end comes: one may hold the activation that it is in.
class Leave {
 public:
  Leave(const Frame& frame, Activation& activation) : frame_(frame), activation_(activation) {}
  ~Leave() {
    for (const std::uint16_t index : frame_.unloaded) activation_.at(index) = Value();
  }
  Leave(const Leave&) = delete;
  Leave& operator=(const Leave&) = delete;

 private:
  const Frame& frame_;
  Activation& activation_;
};

}  // namespace

Activation::Activation(Runtime& rt, ActivationPtr outer, std::uint16_t slots)
    : outer_(std::move(outer)),
      slots_(slots),
      charge_(rt.budget(), sizeof(Activation) + slots * sizeof(Value)) {}

void Activation::clear() noexcept { slots_.clear(); }

void Activation::keep(Runtime& rt) {
  if (std::exchange(kept_, true)) return;
  rt.keep(shared_from_this());
}

void Interpreter::run() {
  const auto root = rt_.object<Activation>(rt_, nullptr, program_.scope.slots);
  root->keep(rt_);
  enter(program_.scope.frame, *root);
  exec(program_.body, *root);
}

Value Interpreter::resolve(const std::string& name) {
  for (const Visible* v = visible_; v != nullptr; v = v->outer) {
    if (const auto found = v->variables.find(name); found != v->variables.end()) return found->second;
  }
  if (const auto exported = exports_.find(name); exported != exports_.end()) return exported->second;
  if (const Value* given = context_.as_dict().find(name)) return *given;
  return find_global(rt_, name);
}

void Interpreter::enter(const Frame& frame, Activation& activation) {
  for (const Load& load : frame.loads) {
    switch (load.from) {
      case Load::From::nothing:
        activation.at(load.index) = Value();
        break;
      case Load::From::context:
        activation.at(load.index) = resolve(load.name);
        break;
      case Load::From::variable:
        activation.at(load.index) = activation.at(load.source);
    }
  }
}

Interpreter::Flow Interpreter::exec(const Body& body, Activation& activation) {
  const Nesting nesting(rt_.budget());
  for (const auto& stmt : body) {
    const Flow flow = exec(*stmt, activation);
    if (flow != Flow::next) return flow;
  }
  return Flow::next;
}

Interpreter::Flow Interpreter::exec(const Stmt& stmt, Activation& activation) {
  rt_.budget().spend();
  rt_.line = stmt.line;
  switch (stmt.kind) {
    case StmtKind::text:
      out_->append(static_cast<const Text&>(stmt).text);
      return Flow::next;
    case StmtKind::print:
      append_str(rt_, *out_, eval(static_cast<const Print&>(stmt).value, activation));
      return Flow::next;
    case StmtKind::condition:
      return exec_condition(static_cast<const Condition&>(stmt), activation);
    case StmtKind::loop:
      return exec_loop(static_cast<const Loop&>(stmt), activation);
    case StmtKind::assign:
      exec_assign(static_cast<const Assign&>(stmt), activation);
      return Flow::next;
    case StmtKind::capture:
      return exec_capture(static_cast<const Capture&>(stmt), activation);
    case StmtKind::macro:
      exec_macro(static_cast<const MacroStmt&>(stmt), activation);
      return Flow::next;
    case StmtKind::call_block:
      exec_call_block(static_cast<const CallBlock&>(stmt), activation);
      return Flow::next;
    case StmtKind::generation:
      exec_generation(static_cast<const Generation&>(stmt), activation);
      return Flow::next;
    case StmtKind::filter_block:
      return exec_filter_block(static_cast<const FilterBlock&>(stmt), activation);
    case StmtKind::with:
      return exec_with(static_cast<const With&>(stmt), activation);
    case StmtKind::scope: {
      const auto& scope = static_cast<const ScopeStmt&>(stmt);
      const Leave leave(scope.frame, activation);
      enter(scope.frame, activation);
      return exec(scope.body, activation);
    }
    case StmtKind::block:
      exec_block(static_cast<const Block&>(stmt), activation);
      return Flow::next;
    case StmtKind::loop_break:
      return Flow::loop_break;
    case StmtKind::loop_continue:
      return Flow::loop_continue;
    case StmtKind::unavailable:
      fail(ErrorKind::unsupported, "'{}' is not available: a chat template stands alone",
           static_cast<const Unavailable&>(stmt).tag);
  }
  return Flow::next;
}

Interpreter::Flow Interpreter::exec_condition(const Condition& condition, Activation& activation) {
  for (const auto& branch : condition.branches) {
    if (holds(branch.test, activation)) return exec(branch.body, activation);
  }
  return exec(condition.otherwise, activation);
}

// ---- Loops

Interpreter::Flow Interpreter::exec_loop(const Loop& loop, Activation& activation) {
  const Value iterable = eval(loop.iterable, activation);
  rt_.line = loop.line;
  if (!loop.recursive) return run_loop(loop, activation.shared_from_this(), activation, iterable, 0);
  append_str(rt_, *out_, recurse(loop, activation.shared_from_this(), iterable, 0));
  return Flow::next;
}

Value Interpreter::recurse(const Loop& loop, const ActivationPtr& home, const Value& iterable, int depth) {
  const auto activation = rt_.object<Activation>(rt_, home, loop.recursive_scope.slots);
  TextBuilder text(rt_.budget());
  const Redirect redirect(out_, text);
  run_loop(loop, home, *activation, iterable, depth);
  return rt_.text(std::move(text));
}

bool Interpreter::passes_filter(const Loop& loop, Activation& activation, Value& item) {
  assign(loop.filter_target, item, activation);
  if (!holds(loop.filter, activation)) return false;
  item = value_of(loop.filter_target, activation);
  return true;
}

Interpreter::Flow Interpreter::run_loop(const Loop& loop, const ActivationPtr& home, Activation& activation,
                                        const Value& iterable, int depth) {
  IteratorPtr iterator = rt_.iterate(iterable);
  if (loop.filter) {
    auto filtering = rt_.object<Activation>(rt_, home, loop.filter_scope.slots);
    iterator = rt_.object<FilteredItems>(*this, loop, std::move(iterator), std::move(filtering));
  }
  std::shared_ptr<LoopState> state;
  if (loop.extended) {
    state = rt_.object<LoopState>(
        *this,
        LoopState::Source{
            .statement = loop, .home = home, .iterable = iterable, .iterator = iterator, .depth = depth});
  }
  const Finish finish(state.get());
  bool completed = false;
  Value item;
  {
    const Leave leave(loop.body_frame, activation);
    while (state ? state->advance(rt_) : iterator->next(rt_, item)) {
      if (!run_turn(loop, activation, state ? state->current() : item, state, completed)) break;
    }
  }
  // As in Jinja, a loop none of whose turns came to the body's end counts as one without turns.
  if (completed || loop.otherwise.empty()) return Flow::next;
  const Leave leave(loop.otherwise_frame, activation);
  enter(loop.otherwise_frame, activation);
  return exec(loop.otherwise, activation);
}

bool Interpreter::run_turn(const Loop& loop, Activation& activation, const Value& item,
                           const std::shared_ptr<LoopState>& state, bool& completed) {
  rt_.budget().spend();
  assign(loop.target, item, activation);
  if (state) activation.at(loop.loop_slot) = Value(std::shared_ptr<Object>(state));
  enter(loop.body_frame, activation);
  const Flow flow = exec(loop.body, activation);
  if (flow == Flow::next) completed = true;
  return flow != Flow::loop_break;
}

// ---- Assignments

void Interpreter::assign(const Target& target, Value value, Activation& activation) {
  switch (target.kind) {
    case Target::Kind::name:
      if (target.exported && program_.has_blocks) exports_[target.name] = value;
      activation.at(target.slot) = std::move(value);
      return;
    case Target::Kind::attribute: {
      expect_namespaces(target, activation);
      const auto object = activation.at(target.slot).object();
      return static_cast<Namespace&>(*object).set(rt_, target.attribute, std::move(value));
    }
    case Target::Kind::tuple: {
      const IteratorPtr iterator = rt_.iterate(value);
      std::vector<Value> parts(target.items.size());
      for (std::size_t i = 0; i < parts.size(); ++i) {
        if (!iterator->next(rt_, parts[i])) {
          fail(ErrorKind::usage, "not enough values to unpack (expected {}, got {})", parts.size(), i);
        }
      }
      Value extra;
      if (iterator->next(rt_, extra))
        fail(ErrorKind::usage, "too many values to unpack (expected {})", parts.size());
      for (std::size_t i = 0; i < parts.size(); ++i) assign(target.items[i], std::move(parts[i]), activation);
    }
  }
}

void Interpreter::expect_namespaces(const Target& target, Activation& activation) {
  for (const Target& item : target.items) expect_namespaces(item, activation);
  if (target.kind != Target::Kind::attribute) return;
  const Value& owner = activation.at(target.slot);
  if (!owner.is(Kind::object) || dynamic_cast<Namespace*>(&owner.as_object()) == nullptr) {
    fail(ErrorKind::usage, "cannot assign attribute on non-namespace object");
  }
}

Value Interpreter::value_of(const Target& target, Activation& activation) {
  if (target.kind != Target::Kind::tuple) return activation.at(target.slot);
  std::vector<Value> parts;
  for (const Target& item : target.items) parts.push_back(value_of(item, activation));
  return rt_.tuple(std::move(parts));
}

void Interpreter::exec_assign(const Assign& stmt, Activation& activation) {
  expect_namespaces(stmt.target, activation);
  Value value = eval(stmt.value, activation);
  rt_.line = stmt.line;
  assign(stmt.target, std::move(value), activation);
}

// ---- Captured text

Interpreter::Flow Interpreter::captured(const Body& body, Activation& activation, Value& text) {
  TextBuilder builder(rt_.budget());
  const Redirect redirect(out_, builder);
  const Flow flow = exec(body, activation);
  text = rt_.text(std::move(builder));
  return flow;
}

Value Interpreter::filtered(const ExprPtr& filter, Value text, Activation& activation) {
  if (!filter) return text;
  Value before = std::exchange(filter_input_, std::move(text));
  Value result = eval(filter, activation);
  filter_input_ = std::move(before);
  return result;
}

Interpreter::Flow Interpreter::exec_capture(const Capture& capture, Activation& activation) {
  const Leave leave(capture.frame, activation);
  enter(capture.frame, activation);
  Value text;
  const Flow flow = captured(capture.body, activation, text);
  if (flow == Flow::next)
    assign(capture.target, filtered(capture.filter, std::move(text), activation), activation);
  return flow;
}

Interpreter::Flow Interpreter::exec_filter_block(const FilterBlock& block, Activation& activation) {
  const Leave leave(block.frame, activation);
  enter(block.frame, activation);
  Value text;
  const Flow flow = captured(block.body, activation, text);
  if (flow == Flow::next) {
    const Value result = filtered(block.filter, std::move(text), activation);
    out_->append(text_argument(result, "what a filter block makes").text);
  }
  return flow;
}

Interpreter::Flow Interpreter::exec_with(const With& with, Activation& activation) {
  const Leave leave(with.frame, activation);
  enter(with.frame, activation);
  for (const auto& [target, value] : with.values) assign(target, eval(value, activation), activation);
  return exec(with.body, activation);
}

// ---- Blocks

void Interpreter::exec_block(const Block& block, Activation& activation) {
  if (block.required) fail(ErrorKind::usage, "required block '{}' not found", block.name);
  Visible visible{.variables = {}, .outer = visible_};
  for (const auto& [name, slot] : block.visible) {
    const Value& value = activation.at(slot);
    if (!value.is(Kind::unset)) visible.variables.emplace(name, value);
  }
  const Visible* before = visible_;
  if (block.scoped) visible_ = &visible;
  const auto own = rt_.object<Activation>(rt_, nullptr, block.scope.slots);
  enter(block.scope.frame, *own);
  exec(block.body, *own);
  visible_ = before;
}

}  // namespace medlar::jinja
