// Values with behaviour: iterators, callables, namespaces, ranges. And the arguments of calls.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace medlar::jinja {

class Iterator;
class Runtime;
class TextBuilder;
struct Member;

using IteratorPtr = std::shared_ptr<Iterator>;

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // Removes and returns the argument called `name`; unset when there is none.
  Value take(std::string_view name);
  // The arguments in the order of `names`, by position or name; unset where not given.
  // Throws Error(usage) for one too many, one unknown, or one of the first `required` missing.
  template <std::size_t N>
  std::array<Value, N> bind(std::string_view function, const std::array<std::string_view, N>& names,
                            std::size_t required = 0) {
    std::array<Value, N> out;
    bind_into(function, names.data(), out.data(), N, required);
    return out;
  }
  // Throws unless there are none.
  void expect_none(std::string_view function);

 private:
  void bind_into(std::string_view function, const std::string_view* names, Value* out, std::size_t count,
                 std::size_t required);
};

class Object : public std::enable_shared_from_this<Object> {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;

  virtual std::string_view type_name() const = 0;
  virtual bool truthy(Runtime&) { return true; }
  // len(); none: it has no length.
  virtual std::optional<std::size_t> length(Runtime&) { return std::nullopt; }
  virtual bool subscriptable() const { return false; }
  // Null: not iterable.
  virtual IteratorPtr iterate(Runtime&) { return nullptr; }
  virtual IteratorPtr iterate_backwards(Runtime&) { return nullptr; }
  // Unset: there is no such attribute, or item.
  virtual Value attribute(Runtime&, const Member&) { return {}; }
  virtual Value item(Runtime&, const Value& /*key*/) { return {}; }
  // Unset: it cannot be sliced.
  virtual Value slice(Runtime&, std::optional<std::int64_t> /*start*/, std::optional<std::int64_t> /*stop*/,
                      std::optional<std::int64_t> /*step*/) {
    return {};
  }
  // Nothing: look through what it iterates over.
  virtual std::optional<bool> contains(Runtime&, const Value& /*needle*/) { return std::nullopt; }
  virtual bool callable() const { return false; }
  virtual Value call(Runtime&, Arguments&);
  virtual void repr(Runtime&, TextBuilder& out);
  virtual bool equals(const Object& other) const { return this == &other; }
  // How deep what it refers to nests; see Limits::value_depth.
  virtual int depth() const { return 1; }
};

// One pass over values; what Python calls a generator when a template holds it.
class Iterator : public Object {
 public:
  std::string_view type_name() const override { return "generator"; }
  IteratorPtr iterate(Runtime&) override { return std::static_pointer_cast<Iterator>(shared_from_this()); }
  // False at the end, and ever after.
  virtual bool next(Runtime& rt, Value& out) = 0;
};

// A function of Medlar's own that templates call: a filter, a test, a method, a global.
// `self` is what stands before the `|`, `is` or `.`.
using Builtin = Value (*)(Runtime& rt, const Value& self, Arguments& args);

}  // namespace medlar::jinja
