// Making values, and the dictionary's index.
#include "text/jinja/value.h"

#include <algorithm>
#include <bit>

#include "text/jinja/compare.h"
#include "text/jinja/object.h"
#include "text/unicode.h"

namespace medlar::jinja {
namespace {

constexpr std::size_t kScanned = 8;  // dictionaries up to this size have no index

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string well_formed(std::string text) {
  std::size_t at = text::valid_utf8_prefix(text);
  if (at == text.size()) return text;
  std::string out = text.substr(0, at);
  for (std::string_view rest = std::string_view(text).substr(at); !rest.empty();) {
    out += text::kReplacementUtf8;
    rest.remove_prefix(1);
    const std::size_t good = text::valid_utf8_prefix(rest);
    out += rest.substr(0, good);
    rest.remove_prefix(good);
  }
  return out;
}

Value from_json_nested(const boost::json::value& json, const Limits& limits, int depth) {
  if (depth > limits.value_depth) Budget::exhausted("nesting");
  switch (json.kind()) {
    case boost::json::kind::null:
      return Value::none();
    case boost::json::kind::bool_:
      return Value::boolean(json.get_bool());
    case boost::json::kind::int64:
      return Value::integer(json.get_int64());
    case boost::json::kind::uint64:
      if (std::in_range<std::int64_t>(json.get_uint64())) {
        return Value::integer(static_cast<std::int64_t>(json.get_uint64()));
      }
      return Value::real(static_cast<double>(json.get_uint64()));
    case boost::json::kind::double_:
      return Value::real(json.get_double());
    case boost::json::kind::string:
      return Value::string(std::string(json.get_string()));
    case boost::json::kind::array: {
      std::vector<Value> items;
      items.reserve(json.get_array().size());
      for (const auto& item : json.get_array()) items.push_back(from_json_nested(item, limits, depth + 1));
      return Value::list(std::move(items));
    }
    case boost::json::kind::object: {
      std::vector<std::pair<std::string, Value>> entries;
      entries.reserve(json.get_object().size());
      for (const auto& entry : json.get_object()) {
        entries.emplace_back(std::string(entry.key()), from_json_nested(entry.value(), limits, depth + 1));
      }
      return Value::dict(std::move(entries));
    }
  }
  return {};
}

}  // namespace

Value Value::string(std::string text) { return std::make_shared<const Str>(well_formed(std::move(text))); }

Value Value::list(std::vector<Value> items) {
  auto list = std::make_shared<List>();
  for (const Value& item : items) list->extent.add(item, Limits{});
  list->items = std::move(items);
  return std::shared_ptr<const List>(std::move(list));
}

Value Value::dict(std::vector<std::pair<std::string, Value>> entries) {
  auto dict = std::make_shared<Dict>();
  for (auto& [key, value] : entries) {
    dict->extent.add(value, Limits{});
    dict->set(string(std::move(key)), std::move(value));
  }
  return std::shared_ptr<const Dict>(std::move(dict));
}

Value Value::undefined(std::string message) {
  return std::make_shared<const Undefined>(Undefined{std::move(message)});
}

Value Value::from_json(const boost::json::value& json) { return from_json_nested(json, Limits{}, 1); }

const std::vector<Value>* Value::items() const {
  if (is(Kind::list)) return &as_list().items;
  if (is(Kind::tuple)) return &as_tuple().items;
  return nullptr;
}

bool Value::same(const Value& other) const {
  if (kind() != other.kind()) return false;
  switch (kind()) {
    case Kind::undefined:
      return std::get_if<1>(&data_)->get() == std::get_if<1>(&other.data_)->get();
    case Kind::list:
      return std::get_if<7>(&data_)->get() == std::get_if<7>(&other.data_)->get();
    case Kind::tuple:
      return std::get_if<8>(&data_)->get() == std::get_if<8>(&other.data_)->get();
    case Kind::dict:
      return std::get_if<9>(&data_)->get() == std::get_if<9>(&other.data_)->get();
    case Kind::object:
      return object() == other.object();
    default:
      return equal(*this, other);
  }
}

void Extent::add(const Value& item, const Limits& limits) {
  const Extent inner = extent_of(item);
  depth = std::max(depth, inner.depth + 1);
  weight += inner.weight;
  if (depth > limits.value_depth) Budget::exhausted("nesting");
  if (weight > limits.value_weight) Budget::exhausted("memory");
}

Extent extent_of(const Value& value) {
  switch (value.kind()) {
    case Kind::list:
      return value.as_list().extent;
    case Kind::tuple:
      return value.as_tuple().extent;
    case Kind::dict:
      return value.as_dict().extent;
    case Kind::object:
      return {.depth = value.as_object().depth()};
    default:
      return {};
  }
}

Str::Str(std::string bytes, bool is_markup, Charge held)
    : text(std::move(bytes)), length(code_points(text)), markup(is_markup), charge(std::move(held)) {}

// The entry that `same` accepts among those of that hash, or size().
template <class Same>
std::size_t Dict::position(std::size_t hash, Same same) const {
  if (slots_.empty()) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (hashes_[i] == hash && same(entries_[i].first)) return i;
    }
    return entries_.size();
  }
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = hash & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
    const std::size_t i = slots_[slot] - 1;
    if (hashes_[i] == hash && same(entries_[i].first)) return i;
  }
  return entries_.size();
}

const Value* Dict::find(const Value& key) const {
  const std::size_t at = position(hash_of(key), [&](const Value& k) { return equal(k, key); });
  return at < entries_.size() ? &entries_[at].second : nullptr;
}

const Value* Dict::find(std::string_view key) const {
  const std::size_t at =
      position(hash_of(key), [&](const Value& k) { return k.is(Kind::string) && k.as_text() == key; });
  return at < entries_.size() ? &entries_[at].second : nullptr;
}

void Dict::index(std::size_t entry) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hashes_[entry] & mask;
  while (slots_[slot] != 0) slot = (slot + 1) & mask;
  slots_[slot] = static_cast<std::uint32_t>(entry + 1);
}

void Dict::set(Value key, Value value) {
  const std::size_t hash = hash_of(key);
  const std::size_t at = position(hash, [&](const Value& k) { return equal(k, key); });
  if (at < entries_.size()) {
    entries_[at].second = std::move(value);
    return;
  }
  entries_.emplace_back(std::move(key), std::move(value));
  hashes_.push_back(hash);
  if (entries_.size() <= kScanned) return;
  if (2 * entries_.size() > slots_.size()) {
    slots_.assign(std::bit_ceil(4 * entries_.size()), 0);
    for (std::size_t i = 0; i < entries_.size(); ++i) index(i);
  } else {
    index(entries_.size() - 1);
  }
}

void Dict::clear() {
  entries_.clear();
  hashes_.clear();
  slots_.clear();
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::unset:
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::string:
      return value.as_str().markup ? "Markup" : "str";
    case Kind::list:
      return "list";
    case Kind::tuple:
      return "tuple";
    case Kind::dict:
      return "dict";
    case Kind::object:
      return value.as_object().type_name();
  }
  return "";
}

}  // namespace medlar::jinja
