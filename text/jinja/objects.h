// The objects that templates make or meet without writing code for them: ranges, views of dictionaries,
// namespaces, cyclers, joiners and global functions.
#pragma once

#include "text/jinja/member.h"
#include "text/jinja/runtime.h"

namespace medlar::jinja {

class Range final : public Object {
 public:
  // `count` numbers: start, start + step, ...; `stop` is what the template wrote.
  Range(std::int64_t start, std::int64_t stop, std::int64_t step, std::int64_t count)
      : start_(start), stop_(stop), step_(step), count_(count) {}
  std::string_view type_name() const override { return "range"; }
  bool truthy(Runtime&) override { return count_ != 0; }
  std::optional<std::size_t> length(Runtime&) override { return static_cast<std::size_t>(count_); }
  bool subscriptable() const override { return true; }
  IteratorPtr iterate(Runtime& rt) override;
  IteratorPtr iterate_backwards(Runtime& rt) override;
  Value attribute(Runtime&, const Member& member) override;
  Value item(Runtime&, const Value& key) override;
  Value slice(Runtime& rt, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
              std::optional<std::int64_t> step) override;
  std::optional<bool> contains(Runtime&, const Value& needle) override;
  void repr(Runtime&, TextBuilder& out) override;
  bool equals(const Object& other) const override;

 private:
  std::int64_t at(std::int64_t index) const { return start_ + index * step_; }

  std::int64_t start_, stop_, step_, count_;
};

// What keys(), values() and items() return.
class DictView final : public Object {
 public:
  enum class Part : std::uint8_t { keys, values, items };

  DictView(Value dict, Part part) : dict_(std::move(dict)), part_(part) {}
  std::string_view type_name() const override;
  bool truthy(Runtime&) override { return dict_.as_dict().size() != 0; }
  std::optional<std::size_t> length(Runtime&) override { return dict_.as_dict().size(); }
  IteratorPtr iterate(Runtime& rt) override;
  IteratorPtr iterate_backwards(Runtime& rt) override;
  std::optional<bool> contains(Runtime&, const Value& needle) override;
  void repr(Runtime& rt, TextBuilder& out) override;
  bool equals(const Object& other) const override;
  int depth() const override { return extent_of(dict_).depth + 1; }

 private:
  Value dict_;
  Part part_;
};

// The one thing that templates can assign into.
class Namespace final : public Object, public Mutable {
 public:
  explicit Namespace(Dict attributes) : attributes_(std::move(attributes)) {}
  std::string_view type_name() const override { return "Namespace"; }
  Value attribute(Runtime&, const Member& member) override;
  void repr(Runtime& rt, TextBuilder& out) override;
  void set(Runtime& rt, const std::string& name, Value value);
  void clear() noexcept override { attributes_.clear(); }

 private:
  Dict attributes_;
};

class Function final : public Object {
 public:
  Function(std::string_view name, Builtin builtin) : name_(name), builtin_(builtin) {}
  std::string_view type_name() const override { return "function"; }
  bool callable() const override { return true; }
  Value call(Runtime& rt, Arguments& arguments) override { return builtin_(rt, Value(), arguments); }
  bool equals(const Object& other) const override;

 private:
  std::string_view name_;
  Builtin builtin_;
};

// A generator over a dictionary's entries as pairs.
Value dict_items(Runtime& rt, const Value& dict);

// A global function; unset when there is none of that name.
Value find_global(Runtime& rt, std::string_view name);

}  // namespace medlar::jinja
