// A request body described once. A Form lists a struct's fields with their names, ranges and meanings; from
// the list come reading JSON with errors that name the field, the JSON Schema of the OpenAPI document, and
// the tables of the documentation. Defaults are those of the struct itself.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "server/json_body.h"

namespace medlar::server {

struct FieldSpec {
  std::string_view about;          // a phrase for the documentation
  std::optional<double> min, max;  // of a number
  std::size_t max_items = 1024;    // of a list
  bool required = false;
  std::vector<std::string_view> choices = {};  // of a string; empty: any
};

// How a type is read from JSON, described and shown. Specialise it for a new one. Neither knows of null: for
// a form it means that a field is not given, elsewhere it is an error.
template <class T>
struct JsonType;

namespace form_detail {
std::int64_t read_integer(const boost::json::value& value, const Path& path, const FieldSpec& spec);
double read_number(const boost::json::value& value, const Path& path, const FieldSpec& spec);
std::string read_string(const boost::json::value& value, const Path& path, const FieldSpec& spec);
bool read_bool(const boost::json::value& value, const Path& path);
const boost::json::array& read_array(const boost::json::value& value, const Path& path,
                                     const FieldSpec& spec);
// Of a value that is given; null is the business of the form.
boost::json::object schema_of(std::string_view type, const FieldSpec& spec);
boost::json::object or_null(boost::json::object schema);
boost::json::object but_null(boost::json::object schema);
[[noreturn]] void fail_missing(const Path& path);
// A default as people write it: 0.8, not the float's 0.800000011920929.
boost::json::value shown(float number);
template <class T>
boost::json::value shown(const T& value) {
  return boost::json::value(value);
}
}  // namespace form_detail

template <class T>
  requires std::is_integral_v<T> && (!std::is_same_v<T, bool>)
struct JsonType<T> {
  static T read(const boost::json::value& v, const Path& path, FieldSpec spec) {
    constexpr double kLimit =
        sizeof(T) < 8 ? 2147483647.0 : 9007199254740992.0;  // what a double holds exactly
    if (!spec.min) spec.min = std::is_signed_v<T> ? -kLimit : 0;
    if (!spec.max) spec.max = kLimit;
    return static_cast<T>(form_detail::read_integer(v, path, spec));
  }
  static boost::json::object schema(const FieldSpec& spec) { return form_detail::schema_of("integer", spec); }
};

template <class T>
  requires std::is_floating_point_v<T>
struct JsonType<T> {
  static T read(const boost::json::value& v, const Path& path, const FieldSpec& spec) {
    return static_cast<T>(form_detail::read_number(v, path, spec));
  }
  static boost::json::object schema(const FieldSpec& spec) { return form_detail::schema_of("number", spec); }
};

template <>
struct JsonType<bool> {
  static bool read(const boost::json::value& v, const Path& path, const FieldSpec&) {
    return form_detail::read_bool(v, path);
  }
  static boost::json::object schema(const FieldSpec& spec) { return form_detail::schema_of("boolean", spec); }
};

template <>
struct JsonType<std::string> {
  static std::string read(const boost::json::value& v, const Path& path, const FieldSpec& spec) {
    return form_detail::read_string(v, path, spec);
  }
  static boost::json::object schema(const FieldSpec& spec) { return form_detail::schema_of("string", spec); }
};

template <>
struct JsonType<boost::json::object> {
  static boost::json::object read(const boost::json::value& v, const Path& path, const FieldSpec&) {
    if (!v.is_object()) fail_at(path, "must be an object, not " + std::string(kind_name(v)));
    return v.get_object();
  }
  static boost::json::object schema(const FieldSpec& spec) { return form_detail::schema_of("object", spec); }
};

// Anything: whoever uses it checks it.
template <>
struct JsonType<boost::json::value> {
  static boost::json::value read(const boost::json::value& v, const Path&, const FieldSpec&) { return v; }
  static boost::json::object schema(const FieldSpec& spec) { return form_detail::schema_of("", spec); }
};

template <class T>
struct JsonType<std::optional<T>> : JsonType<T> {};

template <class T>
struct JsonType<std::vector<T>> {
  static std::vector<T> read(const boost::json::value& v, const Path& path, const FieldSpec& spec) {
    std::vector<T> result;
    for (const boost::json::value& item : form_detail::read_array(v, path, spec))
      result.push_back(JsonType<T>::read(item, path[result.size()], spec));
    return result;
  }
  static boost::json::object schema(const FieldSpec& spec) {
    boost::json::object result = form_detail::schema_of("array", {.about = spec.about});
    FieldSpec item = spec;
    item.about = {};
    result["items"] = JsonType<T>::schema(item);
    result["maxItems"] = spec.max_items;
    if (spec.required) result["minItems"] = 1;
    return result;
  }
};

template <class Body>
class Form {
 public:
  // A field of the struct. null means that it is not given.
  template <class T>
  Form& field(std::string_view name, T Body::* member, FieldSpec spec = {}) {
    boost::json::object schema = JsonType<T>::schema(spec);
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
      if (!spec.required) schema["default"] = form_detail::shown(Body{}.*member);
    }
    entries_.push_back({std::string(name), spec.required, std::move(schema),
                        [member, spec](Body& body, const boost::json::value& v, const Path& path) {
                          body.*member = JsonType<T>::read(v, path, spec);
                        }});
    return *this;
  }

  // A field read as a T that something else is made of.
  template <class T>
  Form& set(std::string_view name, FieldSpec spec, void (*assign)(Body&, T)) {
    entries_.push_back({std::string(name), spec.required, JsonType<T>::schema(spec),
                        [assign, spec](Body& body, const boost::json::value& v, const Path& path) {
                          assign(body, JsonType<T>::read(v, path, spec));
                        }});
    return *this;
  }

  // All fields of a part, beside the body's own.
  template <class Part>
  Form& part(const Form<Part>& form, Part Body::* member) {
    for (const auto& entry : form.entries())
      entries_.push_back({entry.name, entry.required, entry.schema,
                          [member, read = entry.read](Body& body, const boost::json::value& v,
                                                      const Path& path) { read(body.*member, v, path); }});
    return *this;
  }

  // All fields of another form of the same body.
  Form& all_of(const Form& form) {
    entries_.insert(entries_.end(), form.entries_.begin(), form.entries_.end());
    return *this;
  }

  // A field of a part that this body cannot do without.
  Form& require(std::string_view name) {
    for (Entry& entry : entries_)
      if (entry.name == name) entry.required = true;
    return *this;
  }

  // Unknown fields are passed over. Throws ApiError(400) naming the first field that is wrong.
  Body read(const boost::json::value& value, const Path& path = {}) const {
    if (!value.is_object()) fail_at(path, "must be an object, not " + std::string(kind_name(value)));
    Body body{};
    for (const Entry& entry : entries_) {
      const boost::json::value* given = value.get_object().if_contains(entry.name);
      if (given && !given->is_null()) {
        entry.read(body, *given, path / entry.name);
      } else if (entry.required) {
        form_detail::fail_missing(path / entry.name);
      }
    }
    return body;
  }

  boost::json::object schema() const {
    boost::json::object properties;
    boost::json::array required;
    for (const Entry& entry : entries_) {
      properties[entry.name] =
          entry.required ? form_detail::but_null(entry.schema) : form_detail::or_null(entry.schema);
      if (entry.required) required.push_back(boost::json::value(entry.name));
    }
    boost::json::object result{{"type", "object"}, {"properties", std::move(properties)}};
    if (!required.empty()) result["required"] = std::move(required);
    return result;
  }

  struct Entry {
    std::string name;
    bool required = false;
    boost::json::object schema;  // of what is not null
    std::function<void(Body&, const boost::json::value&, const Path&)> read;
  };
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace medlar::server
