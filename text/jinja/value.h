// The values of a template: Python's None, bool, int, float, str, list, tuple and dict, and objects.
// Values share their contents and contents never change, so copying one is cheap and safe between threads.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/budget.h"

namespace medlar::jinja {

class Dict;
class Object;
class Runtime;
struct List;
struct Str;
struct Tuple;

// Why a value is undefined: the message of the error that using it gives.
struct Undefined {
  std::string message;
};

enum class Kind : std::uint8_t {
  unset,  // a variable before its first assignment; templates never see it
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  dict,
  object,
};

class Value {
 public:
  Value() = default;

  static Value none() { return Value(Data(std::in_place_index<2>)); }
  static Value boolean(bool v) { return Value(Data(std::in_place_index<3>, v)); }
  static Value integer(std::int64_t v) { return Value(Data(std::in_place_index<4>, v)); }
  static Value real(double v) { return Value(Data(std::in_place_index<5>, v)); }
  static Value string(std::string text);
  static Value list(std::vector<Value> items);
  static Value dict(std::vector<std::pair<std::string, Value>> entries);
  static Value undefined(std::string message);
  // Numbers beyond 64 signed bits become floats. Throws Error(limit) for nesting beyond Limits' default.
  static Value from_json(const boost::json::value& json);

  Value(std::shared_ptr<const Undefined> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const Str> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const List> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const Tuple> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const Dict> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<Object> v) : data_(std::move(v)) {}

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is(Kind k) const { return kind() == k; }
  bool is_number() const { return is(Kind::integer) || is(Kind::real) || is(Kind::boolean); }

  // The contents; the kind must be that one.
  bool as_boolean() const { return *std::get_if<3>(&data_); }
  double as_real() const { return *std::get_if<5>(&data_); }
  const Undefined& as_undefined() const { return **std::get_if<1>(&data_); }
  const Str& as_str() const { return **std::get_if<6>(&data_); }
  const std::string& as_text() const;
  const List& as_list() const { return **std::get_if<7>(&data_); }
  const Tuple& as_tuple() const { return **std::get_if<8>(&data_); }
  const Dict& as_dict() const { return **std::get_if<9>(&data_); }
  Object& as_object() const { return **std::get_if<10>(&data_); }
  const std::shared_ptr<Object>& object() const { return *std::get_if<10>(&data_); }
  // Python's int, which bool is one of.
  std::optional<std::int64_t> to_integer() const {
    if (is(Kind::integer)) return *std::get_if<4>(&data_);
    if (is(Kind::boolean)) return as_boolean() ? 1 : 0;
    return std::nullopt;
  }
  // The items of a list or tuple, else null.
  const std::vector<Value>* items() const;
  // Python's `is`, except that equal strings and numbers of one type are the same.
  bool same(const Value& other) const;

 private:
  struct None {};
  using Data =
      std::variant<std::monostate, std::shared_ptr<const Undefined>, None, bool, std::int64_t, double,
                   std::shared_ptr<const Str>, std::shared_ptr<const List>, std::shared_ptr<const Tuple>,
                   std::shared_ptr<const Dict>, std::shared_ptr<Object>>;

  explicit Value(Data data) : data_(std::move(data)) {}

  Data data_;
};

// How deep a value nests and how many items a full walk over it visits.
struct Extent {
  int depth = 1;
  std::uint64_t weight = 1;

  // Throws Error(limit) past what `limits` allow.
  void add(const Value& item, const Limits& limits);
};
Extent extent_of(const Value& value);

// UTF-8. `markup` is a string that passed the filters `safe` or `escape`: joining it with others escapes
// those.
struct Str {
  explicit Str(std::string bytes, bool is_markup = false, Charge held = {});

  bool ascii() const { return length == text.size(); }

  std::string text;
  std::size_t length;  // in code points
  bool markup;
  Charge charge;
};

struct List {
  std::vector<Value> items;
  Extent extent;
  Charge charge;
};

// `group` is an element of what the filter `groupby` returns: its two items have names.
struct Tuple {
  std::vector<Value> items;
  Extent extent;
  Charge charge;
  bool group = false;
};

// Entries in the order of their first insertion, found by hash.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;

  const std::vector<Entry>& entries() const { return entries_; }
  std::size_t size() const { return entries_.size(); }

  // Null when absent. Throws Error(usage) for a key that Python could not hash.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  // Adds the entry, or replaces its value.
  void set(Value key, Value value);
  void clear();

  Extent extent;
  Charge charge;

 private:
  template <class Same>
  std::size_t position(std::size_t hash, Same same) const;
  void index(std::size_t entry);

  std::vector<Entry> entries_;
  std::vector<std::size_t> hashes_;
  std::vector<std::uint32_t> slots_;  // entry + 1, or 0; empty while few entries make a scan cheaper
};

inline const std::string& Value::as_text() const { return as_str().text; }

// Python's name of the value's type.
std::string_view type_name(const Value& value);

}  // namespace medlar::jinja
