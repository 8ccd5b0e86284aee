// Ranges, views and namespaces.
#include "text/jinja/objects.h"

#include "text/jinja/compare.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

class RangeIterator final : public Iterator {
 public:
  RangeIterator(std::int64_t start, std::int64_t step, std::int64_t count)
      : next_(start), step_(step), left_(count) {}
  std::string_view type_name() const override { return "range_iterator"; }
  bool next(Runtime& rt, Value& out) override {
    if (left_ == 0) return false;
    rt.budget().spend();
    out = Value::integer(next_);
    if (--left_ > 0) next_ += step_;
    return true;
  }

 private:
  std::int64_t next_, step_, left_;
};

class ViewIterator final : public Iterator {
 public:
  ViewIterator(Value dict, DictView::Part part, bool backwards)
      : dict_(std::move(dict)), part_(part), backwards_(backwards) {}
  std::string_view type_name() const override { return "dict_iterator"; }
  bool next(Runtime& rt, Value& out) override {
    const auto& entries = dict_.as_dict().entries();
    if (at_ == entries.size()) return false;
    rt.budget().spend();
    const auto& [key, value] = entries[backwards_ ? entries.size() - 1 - at_ : at_];
    ++at_;
    switch (part_) {
      case DictView::Part::keys:
        out = key;
        break;
      case DictView::Part::values:
        out = value;
        break;
      case DictView::Part::items:
        out = rt.tuple({key, value});
    }
    return true;
  }
  int depth() const override { return extent_of(dict_).depth + 1; }

 private:
  Value dict_;
  DictView::Part part_;
  bool backwards_;
  std::size_t at_ = 0;
};

}  // namespace

IteratorPtr Range::iterate(Runtime& rt) { return rt.object<RangeIterator>(start_, step_, count_); }

IteratorPtr Range::iterate_backwards(Runtime& rt) {
  if (count_ == 0) return iterate(rt);
  return rt.object<RangeIterator>(at(count_ - 1), -step_, count_);
}

Value Range::attribute(Runtime&, const Member& member) {
  switch (member.field) {
    case Field::start:
      return Value::integer(start_);
    case Field::stop:
      return Value::integer(stop_);
    case Field::step:
      return Value::integer(step_);
    default:
      return {};
  }
}

Value Range::item(Runtime&, const Value& key) {
  const auto index = key.to_integer();
  if (!index || *index >= count_ || *index < -count_) return {};
  return Value::integer(at(*index < 0 ? *index + count_ : *index));
}

Value Range::slice(Runtime& rt, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                   std::optional<std::int64_t> step) {
  const Slice slice = resolve_slice(start, stop, step, static_cast<std::size_t>(count_));
  const std::int64_t stride = slice.count < 2 ? step_ : slice.step * step_;
  const std::int64_t first = at(slice.start);
  return Value(
      std::shared_ptr<Object>(rt.object<Range>(first, first + slice.count * stride, stride, slice.count)));
}

std::optional<bool> Range::contains(Runtime&, const Value& needle) {
  if (!needle.is_number()) return false;
  for (const std::int64_t edge : {start_, count_ == 0 ? start_ : at(count_ - 1)}) {
    if (count_ > 0 && equal(Value::integer(edge), needle)) return true;
  }
  std::int64_t value = 0;
  if (const auto integer = needle.to_integer()) {
    value = *integer;
  } else {
    // A float is in a range when it equals an integer that is.
    const double real = needle.as_real();
    if (!(real > -9e18 && real < 9e18)) return false;
    value = static_cast<std::int64_t>(real);
    if (static_cast<double>(value) != real) return false;
  }
  if (count_ == 0) return false;
  const std::int64_t last = at(count_ - 1);
  const bool inside = step_ > 0 ? value >= start_ && value <= last : value <= start_ && value >= last;
  return inside && (value - start_) % step_ == 0;
}

void Range::repr(Runtime&, TextBuilder& out) {
  out.append(step_ == 1 ? fmt::format("range({}, {})", start_, stop_)
                        : fmt::format("range({}, {}, {})", start_, stop_, step_));
}

bool Range::equals(const Object& other) const {
  const auto* range = dynamic_cast<const Range*>(&other);
  if (range == nullptr || range->count_ != count_) return false;
  if (count_ == 0) return true;
  return range->start_ == start_ && (count_ == 1 || range->step_ == step_);
}

std::string_view DictView::type_name() const {
  switch (part_) {
    case Part::keys:
      return "dict_keys";
    case Part::values:
      return "dict_values";
    case Part::items:
      return "dict_items";
  }
  return "";
}

IteratorPtr DictView::iterate(Runtime& rt) { return rt.object<ViewIterator>(dict_, part_, false); }
IteratorPtr DictView::iterate_backwards(Runtime& rt) { return rt.object<ViewIterator>(dict_, part_, true); }

std::optional<bool> DictView::contains(Runtime& rt, const Value& needle) {
  if (part_ == Part::values) return std::nullopt;
  if (part_ == Part::keys) return dict_.as_dict().find(needle) != nullptr;
  if (!needle.is(Kind::tuple) || needle.as_tuple().items.size() != 2) return false;
  const Value* value = dict_.as_dict().find(needle.as_tuple().items[0]);
  return value != nullptr && jinja::equal(rt, *value, needle.as_tuple().items[1]);
}

void DictView::repr(Runtime& rt, TextBuilder& out) {
  out.append(type_name());
  out.append("([");
  bool first = true;
  rt.each(Value(shared_from_this()), [&](const Value& item) {
    if (!first) out.append(", ");
    first = false;
    append_repr(rt, out, item);
    return true;
  });
  out.append("])");
}

// Keys and items compare as sets.
bool DictView::equals(const Object& other) const {
  if (this == &other) return true;
  const auto* view = dynamic_cast<const DictView*>(&other);
  if (view == nullptr || view->part_ != part_ || part_ == Part::values) return false;
  const Dict& mine = dict_.as_dict();
  const Dict& theirs = view->dict_.as_dict();
  if (mine.size() != theirs.size()) return false;
  for (const auto& [key, value] : mine.entries()) {
    const Value* found = theirs.find(key);
    if (found == nullptr || (part_ == Part::items && !jinja::equal(value, *found))) return false;
  }
  return true;
}

Value Namespace::attribute(Runtime&, const Member& member) {
  const Value* value = attributes_.find(member.name);
  if (value == nullptr) return {};
  if (member.name.starts_with('_')) {
    return Value::undefined(
        fmt::format("access to attribute '{}' of 'Namespace' object is unsafe", member.name));
  }
  return *value;
}

void Namespace::repr(Runtime& rt, TextBuilder& out) {
  out.append("<Namespace {");
  bool first = true;
  for (const auto& [key, value] : attributes_.entries()) {
    if (!first) out.append(", ");
    first = false;
    append_repr(rt, out, key);
    out.append(": ");
    append_repr(rt, out, value);
  }
  out.append("}>");
}

void Namespace::set(Runtime& rt, const std::string& name, Value value) {
  attributes_.set(rt.text(name), std::move(value));
}

bool Function::equals(const Object& other) const {
  const auto* function = dynamic_cast<const Function*>(&other);
  return function != nullptr && function->builtin_ == builtin_;
}

Value dict_items(Runtime& rt, const Value& dict) {
  const IteratorPtr entries = rt.object<ViewIterator>(dict, DictView::Part::items, false);
  return make_generator(rt, dict,
                        [entries](Runtime& runtime, Value& out) { return entries->next(runtime, out); });
}

}  // namespace medlar::jinja
