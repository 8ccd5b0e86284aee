// What every part of one rendering shares: the budget, the making of values, iteration, calls, and the things
// that can change, which are emptied at the end so that cycles among them do not outlive it.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/budget.h"
#include "text/jinja/object.h"
#include "text/jinja/text_builder.h"
#include "text/jinja/value.h"

namespace medlar::jinja {

// What a template may change while it runs.
class Mutable {
 public:
  virtual ~Mutable() = default;
  virtual void clear() noexcept = 0;
};

class Runtime {
 public:
  // `now` is what strftime_now formats.
  Runtime(const Limits& limits, const std::optional<std::tm>& now) : now(now), budget_(limits) {}
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  Budget& budget() { return budget_; }

  Value text(std::string bytes, bool markup = false);
  Value text(TextBuilder&& builder, bool markup = false) { return text(builder.take(), markup); }
  Value list(std::vector<Value> items);
  Value tuple(std::vector<Value> items);
  Value group(Value key, Value items);
  Value dict(Dict dict);
  // An object whose own size counts as `bytes`.
  template <class T, class... Args>
  std::shared_ptr<T> object(Args&&... args) {
    budget_.spend();
    return std::make_shared<T>(std::forward<Args>(args)...);
  }

  // Throws Error(usage) when the value is not iterable.
  IteratorPtr iterate(const Value& value);
  // Null when Python's reversed() would refuse.
  IteratorPtr iterate_backwards(const Value& value);
  // f(item) -> whether to go on.
  template <class F>
  void each(const Value& value, F f) {
    const IteratorPtr iterator = iterate(value);
    for (Value item; iterator->next(*this, item);) {
      if (!f(item)) return;
    }
  }
  // len(); throws Error(usage) when there is none.
  std::size_t length(const Value& value);
  Value call(const Value& function, Arguments& arguments);

  void keep(std::shared_ptr<Mutable> changing) { changing_.push_back(std::move(changing)); }

  std::optional<std::tm> now;
  int line = 0;  // of the template, being evaluated; errors name it

 private:
  Budget budget_;
  std::vector<std::shared_ptr<Mutable>> changing_;
};

// A list under construction, held to the budget as it grows.
class ItemsBuilder {
 public:
  explicit ItemsBuilder(Runtime& rt) : rt_(rt) {}

  void push(Value item) {
    rt_.budget().spend();
    if (items_.size() == items_.capacity()) rt_.budget().require(2 * sizeof(Value) * items_.size());
    items_.push_back(std::move(item));
  }
  void push_text(std::string_view text, bool markup = false) { push(rt_.text(std::string(text), markup)); }
  std::vector<Value> take() { return std::move(items_); }
  std::vector<Value>& items() { return items_; }

 private:
  Runtime& rt_;
  std::vector<Value> items_;
};

// The items of any iterable.
std::vector<Value> collect(Runtime& rt, const Value& iterable);

// A generator from a function (Runtime&, Value& out) -> bool. `depth` as in Object::depth.
template <class F>
class Generator final : public Iterator {
 public:
  Generator(F next, int depth) : next_(std::move(next)), depth_(depth) {}
  bool next(Runtime& rt, Value& out) override {
    rt.budget().spend();
    return next_(rt, out);
  }
  int depth() const override { return depth_; }

 private:
  F next_;
  int depth_;
};

// One that reads from `source`: throws Error(limit) when generators nest too deep.
template <class F>
Value make_generator(Runtime& rt, const Value& source, F next) {
  const int depth = extent_of(source).depth + 1;
  if (depth > rt.budget().limits().value_depth) Budget::exhausted("nesting");
  return Value(std::shared_ptr<Object>(rt.object<Generator<F>>(std::move(next), depth)));
}

// str(value), without a copy where it is a string already.
std::string to_text(Runtime& rt, const Value& value);

[[noreturn]] void fail_undefined(const Value& value);
// Python's int argument. Throws Error(usage) naming `what`.
std::int64_t integer_argument(const Value& value, std::string_view what);
// A str argument.
const Str& text_argument(const Value& value, std::string_view what);

}  // namespace medlar::jinja
