// The variables of one frame while names are being resolved. The rules are those of Jinja's own identifier
// tracking, down to what `if` does: a name assigned in one branch only is, in the other, what the context
// says.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"

namespace medlar::jinja {

// A function under construction: hands out the slots of its activation. Variables of one name at one nesting
// level share a slot; their frames follow each other.
class FunctionSlots {
 public:
  explicit FunctionSlots(const FunctionSlots* outer) : depth_(outer == nullptr ? 0 : outer->depth_ + 1) {}

  int depth() const { return depth_; }
  std::uint16_t slot(int level, const std::string& name);
  std::uint16_t count() const { return static_cast<std::uint16_t>(slots_.size()); }

 private:
  int depth_;
  std::map<std::pair<int, std::string>, std::uint16_t> slots_;
};

class Symbols {
 public:
  struct Variable {
    const FunctionSlots* function;
    std::uint16_t index;
  };

  // A frame inside `outer` (null: none), in `function`.
  Symbols(const Symbols* outer, FunctionSlots& function);
  // One branch of an if in `whole`; join() brings it back.
  static Symbols branch(const Symbols& whole) {
    return Symbols(&whole, whole.outer_, *whole.function_, whole.level_);
  }

  void read(const std::string& name);
  void write(const std::string& name);
  void parameter(const std::string& name);
  void join(const std::vector<const Symbols*>& branches);

  std::optional<Variable> find(const std::string& name) const;
  // Where the variable is, seen from `function`. Reads it first when nothing has.
  Slot slot(const std::string& name, const FunctionSlots& function);
  // What entering and leaving the frame do.
  Frame frame() const;
  // Every variable assigned here and around, innermost first.
  std::vector<std::string> written() const;

 private:
  struct Origin {
    enum class Kind : std::uint8_t { parameter, nothing, context, variable } kind = Kind::nothing;
    std::string name;     // of `context`
    Variable variable{};  // of `variable`
  };

  Symbols(const Symbols* whole, const Symbols* outer, FunctionSlots& function, int level)
      : whole_(whole), outer_(outer), function_(&function), level_(level) {}

  const Variable* own(const std::string& name) const;
  bool writes(const std::string& name) const;
  Origin from_outside(const std::string& name, Origin otherwise) const;
  void define(const std::string& name, Origin origin);

  const Symbols* whole_ = nullptr;  // of a branch: the frame it is in
  const Symbols* outer_;
  FunctionSlots* function_;
  int level_;
  std::map<std::string, Variable> variables_;
  std::map<std::uint16_t, Origin> origins_;  // by slot
  std::set<std::string> written_;
};

}  // namespace medlar::jinja
