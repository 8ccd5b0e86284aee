// Making values against the budget, and iterating over every kind of value.
#include "text/jinja/runtime.h"

#include <algorithm>

#include "text/jinja/repr.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

constexpr std::size_t kOverhead = 64;  // an allocation's and a shared pointer's own bytes, roughly

class ItemsIterator final : public Iterator {
 public:
  ItemsIterator(Value owner, bool backwards) : owner_(std::move(owner)), backwards_(backwards) {}
  std::string_view type_name() const override { return "list_iterator"; }
  bool next(Runtime& rt, Value& out) override {
    const auto& items = *owner_.items();
    if (at_ == items.size()) return false;
    rt.budget().spend();
    out = backwards_ ? items[items.size() - 1 - at_] : items[at_];
    ++at_;
    return true;
  }
  int depth() const override { return extent_of(owner_).depth + 1; }

 private:
  Value owner_;
  bool backwards_;
  std::size_t at_ = 0;
};

class KeysIterator final : public Iterator {
 public:
  KeysIterator(Value owner, bool backwards) : owner_(std::move(owner)), backwards_(backwards) {}
  std::string_view type_name() const override { return "dict_keyiterator"; }
  bool next(Runtime& rt, Value& out) override {
    const auto& entries = owner_.as_dict().entries();
    if (at_ == entries.size()) return false;
    rt.budget().spend();
    out = entries[backwards_ ? entries.size() - 1 - at_ : at_].first;
    ++at_;
    return true;
  }
  int depth() const override { return extent_of(owner_).depth + 1; }

 private:
  Value owner_;
  bool backwards_;
  std::size_t at_ = 0;
};

class CharactersIterator final : public Iterator {
 public:
  CharactersIterator(Value owner, bool backwards)
      : owner_(std::move(owner)), backwards_(backwards), rest_(owner_.as_text()) {}
  std::string_view type_name() const override { return "str_iterator"; }
  bool next(Runtime& rt, Value& out) override {
    if (rest_.empty()) return false;
    rt.budget().spend();
    std::size_t at = backwards_ ? rest_.size() - 1 : 0;
    while (backwards_ && at > 0 && (rest_[at] & 0xC0) == 0x80) --at;
    const std::size_t length = backwards_ ? rest_.size() - at : text::decode_utf8(rest_, 0).length;
    out = rt.text(std::string(rest_.substr(at, length)));
    rest_ = backwards_ ? rest_.substr(0, at) : rest_.substr(length);
    return true;
  }

 private:
  Value owner_;
  bool backwards_;
  std::string_view rest_;
};

class NoItems final : public Iterator {
 public:
  bool next(Runtime&, Value&) override { return false; }
};

IteratorPtr builtin_iterator(Runtime& rt, const Value& value, bool backwards) {
  switch (value.kind()) {
    case Kind::undefined:
      return rt.object<NoItems>();
    case Kind::string:
      return rt.object<CharactersIterator>(value, backwards);
    case Kind::list:
    case Kind::tuple:
      return rt.object<ItemsIterator>(value, backwards);
    case Kind::dict:
      return rt.object<KeysIterator>(value, backwards);
    default:
      return nullptr;
  }
}

}  // namespace

Runtime::~Runtime() {
  for (const auto& changing : changing_) changing->clear();
}

Value Runtime::text(std::string bytes, bool markup) {
  budget_.spend_bytes(bytes.size());
  Charge charge(budget_, bytes.size() + kOverhead);
  return std::make_shared<const Str>(std::move(bytes), markup, std::move(charge));
}

namespace {

template <class Sequence>
std::shared_ptr<Sequence> sequence(Budget& budget, std::vector<Value> items) {
  budget.spend(items.size() + 1);
  auto made = std::make_shared<Sequence>();
  made->charge = Charge(budget, items.capacity() * sizeof(Value) + kOverhead);
  for (const Value& item : items) made->extent.add(item, budget.limits());
  made->items = std::move(items);
  return made;
}

}  // namespace

Value Runtime::list(std::vector<Value> items) {
  return std::shared_ptr<const List>(sequence<List>(budget_, std::move(items)));
}

Value Runtime::tuple(std::vector<Value> items) {
  return std::shared_ptr<const Tuple>(sequence<Tuple>(budget_, std::move(items)));
}

Value Runtime::group(Value key, Value items) {
  auto made = sequence<Tuple>(budget_, {std::move(key), std::move(items)});
  made->group = true;
  return std::shared_ptr<const Tuple>(std::move(made));
}

Value Runtime::dict(Dict dict) {
  constexpr std::size_t kEntryBytes = sizeof(Dict::Entry) + 24;  // and its share of the index
  budget_.spend(dict.size() + 1);
  dict.charge = Charge(budget_, dict.size() * kEntryBytes + kOverhead);
  dict.extent = {};
  for (const auto& [key, value] : dict.entries()) {
    dict.extent.add(key, budget_.limits());
    dict.extent.add(value, budget_.limits());
  }
  return std::make_shared<const Dict>(std::move(dict));
}

IteratorPtr Runtime::iterate(const Value& value) {
  IteratorPtr iterator =
      value.is(Kind::object) ? value.as_object().iterate(*this) : builtin_iterator(*this, value, false);
  if (!iterator) fail(ErrorKind::usage, "'{}' object is not iterable", jinja::type_name(value));
  return iterator;
}

IteratorPtr Runtime::iterate_backwards(const Value& value) {
  if (value.is(Kind::object)) return value.as_object().iterate_backwards(*this);
  return builtin_iterator(*this, value, true);
}

std::size_t Runtime::length(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return 0;
    case Kind::string:
      return value.as_str().length;
    case Kind::list:
    case Kind::tuple:
      return value.items()->size();
    case Kind::dict:
      return value.as_dict().size();
    case Kind::object:
      if (const auto n = value.as_object().length(*this)) return *n;
      [[fallthrough]];
    default:
      fail(ErrorKind::usage, "object of type '{}' has no length", jinja::type_name(value));
  }
}

Value Runtime::call(const Value& function, Arguments& arguments) {
  if (function.is(Kind::undefined)) fail_undefined(function);
  if (!function.is(Kind::object) || !function.as_object().callable()) {
    fail(ErrorKind::usage, "'{}' object is not callable", jinja::type_name(function));
  }
  const Nesting nesting(budget_);
  budget_.spend();
  return function.as_object().call(*this, arguments);
}

std::vector<Value> collect(Runtime& rt, const Value& iterable) {
  ItemsBuilder items(rt);
  rt.each(iterable, [&](Value& item) {
    items.push(std::move(item));
    return true;
  });
  return items.take();
}

std::string to_text(Runtime& rt, const Value& value) {
  if (value.is(Kind::string)) return value.as_text();
  TextBuilder out(rt.budget());
  append_str(rt, out, value);
  return out.take();
}

void fail_undefined(const Value& value) { fail(ErrorKind::usage, "{}", value.as_undefined().message); }

std::int64_t integer_argument(const Value& value, std::string_view what) {
  if (value.is(Kind::undefined)) fail_undefined(value);
  if (const auto v = value.to_integer()) return *v;
  fail(ErrorKind::usage, "{} must be an integer, not {}", what, type_name(value));
}

const Str& text_argument(const Value& value, std::string_view what) {
  if (!value.is(Kind::string)) fail(ErrorKind::usage, "{} must be a string, not {}", what, type_name(value));
  return value.as_str();
}

Value Arguments::take(std::string_view name) {
  const auto found = std::find_if(named.begin(), named.end(), [&](const auto& a) { return a.first == name; });
  Value value;
  if (found != named.end()) {
    value = std::move(found->second);
    named.erase(found);
  }
  return value;
}

void Arguments::bind_into(std::string_view function, const std::string_view* names, Value* out,
                          std::size_t count, std::size_t required) {
  if (positional.size() > count) {
    fail(ErrorKind::usage, "{}() takes at most {} arguments, {} given", function, count, positional.size());
  }
  for (std::size_t i = 0; i < positional.size(); ++i) out[i] = std::move(positional[i]);
  for (auto& [name, value] : named) {
    const std::size_t at = static_cast<std::size_t>(std::find(names, names + count, name) - names);
    if (at == count) fail(ErrorKind::usage, "{}() got an unexpected argument '{}'", function, name);
    if (!out[at].is(Kind::unset)) fail(ErrorKind::usage, "{}() got two values for '{}'", function, name);
    out[at] = std::move(value);
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (out[i].is(Kind::unset)) fail(ErrorKind::usage, "{}() misses its argument '{}'", function, names[i]);
  }
}

void Arguments::expect_none(std::string_view function) {
  if (!positional.empty() || !named.empty()) fail(ErrorKind::usage, "{}() takes no arguments", function);
}

Value Object::call(Runtime&, Arguments&) {
  fail(ErrorKind::usage, "'{}' object is not callable", type_name());
}

void Object::repr(Runtime&, TextBuilder& out) {
  out.append('<');
  out.append(type_name());
  out.append(" object>");
}

}  // namespace medlar::jinja
