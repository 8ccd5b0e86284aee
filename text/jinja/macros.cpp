// Macros, call blocks and generation blocks: bodies that run when called, with arguments of their own.
#include <algorithm>

#include "text/jinja/interpreter.h"
#include "text/jinja/member.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"

namespace medlar::jinja {
namespace {

class Macro final : public Object {
 public:
  Macro(Interpreter& interpreter, const MacroCode& code, ActivationPtr home)
      : interpreter_(interpreter), code_(code), home_(std::move(home)) {}
  std::string_view type_name() const override { return "Macro"; }
  bool callable() const override { return true; }
  Value call(Runtime&, Arguments& arguments) override {
    return interpreter_.call_macro(code_, home_, arguments);
  }

  Value attribute(Runtime& rt, const Member& member) override {
    switch (member.field) {
      case Field::name:
        return code_.name.empty() ? Value::none() : rt.text(code_.name);
      case Field::arguments: {
        std::vector<Value> names;
        for (const auto& parameter : code_.parameters) names.push_back(rt.text(parameter.name));
        return rt.tuple(std::move(names));
      }
      case Field::catch_kwargs:
        return Value::boolean(code_.uses_kwargs);
      case Field::catch_varargs:
        return Value::boolean(code_.uses_varargs);
      case Field::caller:
        return Value::boolean(code_.uses_caller);
      default:
        return {};
    }
  }

  void repr(Runtime&, TextBuilder& out) override {
    out.append("<Macro ");
    if (code_.name.empty()) {
      out.append("anonymous");
    } else {
      append_text_repr(out, code_.name);
    }
    out.append('>');
  }

 private:
  Interpreter& interpreter_;
  const MacroCode& code_;
  ActivationPtr home_;
};

// Puts the arguments into the macro's variables.
void bind_arguments(Runtime& rt, const MacroCode& code, Activation& activation, Arguments& arguments) {
  const std::size_t given = std::min(arguments.positional.size(), code.parameters.size());
  for (std::size_t i = 0; i < code.parameters.size(); ++i) {
    const auto& parameter = code.parameters[i];
    activation.at(parameter.slot) =
        i < given ? std::move(arguments.positional[i]) : arguments.take(parameter.name);
  }
  if (code.uses_caller) {
    Value caller = arguments.take("caller");
    const bool none = caller.is(Kind::unset) || caller.is(Kind::none);
    activation.at(code.caller_slot) = none ? Value::undefined("No caller defined") : std::move(caller);
  }
  if (code.uses_kwargs) {
    Dict named;
    for (auto& [name, value] : arguments.named) named.set(rt.text(name), std::move(value));
    activation.at(code.kwargs_slot) = rt.dict(std::move(named));
  } else if (!arguments.named.empty()) {
    fail(ErrorKind::usage, "macro '{}' takes no keyword argument '{}'", code.name, arguments.named[0].first);
  }
  if (code.uses_varargs) {
    const auto rest = arguments.positional.begin() + static_cast<std::ptrdiff_t>(given);
    activation.at(code.varargs_slot) = rt.tuple({rest, arguments.positional.end()});
  } else if (arguments.positional.size() > code.parameters.size()) {
    fail(ErrorKind::usage, "macro '{}' takes not more than {} arguments", code.name, code.parameters.size());
  }
}

}  // namespace

Value Interpreter::make_macro(const MacroCode& code, Activation& home) {
  home.keep(rt_);
  return Value(std::shared_ptr<Object>(rt_.object<Macro>(*this, code, home.shared_from_this())));
}

Value Interpreter::call_macro(const MacroCode& code, const ActivationPtr& home, Arguments& arguments) {
  const auto activation = rt_.object<Activation>(rt_, home, code.scope.slots);
  bind_arguments(rt_, code, *activation, arguments);
  enter(code.scope.frame, *activation);
  for (const auto& parameter : code.parameters) {
    Value& value = activation->at(parameter.slot);
    if (!value.is(Kind::unset)) continue;
    value = parameter.fallback
                ? eval(parameter.fallback, *activation)
                : Value::undefined(fmt::format("parameter '{}' was not provided", parameter.name));
  }
  Value text;
  captured(code.body, *activation, text);
  return text;
}

void Interpreter::exec_macro(const MacroStmt& stmt, Activation& activation) {
  Value macro = make_macro(stmt.code, activation);
  if (stmt.exported && program_.has_blocks) exports_[stmt.code.name] = macro;
  activation.at(stmt.slot) = std::move(macro);
}

void Interpreter::exec_call_block(const CallBlock& block, Activation& activation) {
  const Value caller = make_macro(block.code, activation);
  append_str(rt_, *out_, eval_call(static_cast<const Call&>(*block.call), activation, caller));
}

void Interpreter::exec_generation(const Generation& generation, Activation& activation) {
  const std::size_t start = main_.text().size();
  Arguments none;
  const Value text = call_macro(generation.code, activation.shared_from_this(), none);
  append_str(rt_, *out_, text);
  if (out_ == &main_) generated_.emplace_back(start, main_.text().size());
}

}  // namespace medlar::jinja
