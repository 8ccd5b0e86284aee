// Typed access to the fields of a JSON file beside a model's weights.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::huggingface {

// A copy of one object. A field that is null counts as missing. Whatever is there and of another type is an
// Error(bad_file) "SOURCE: field NAME: expected an integer".
class Config {
 public:
  using Names = std::initializer_list<std::string_view>;

  Config() = default;
  // `source` names the file in errors and is printable.
  Config(boost::json::object object, std::string source)
      : object_(std::move(object)), source_(std::move(source)) {}

  const std::string& source() const { return source_; }
  const boost::json::object& object() const { return object_; }

  // Null where it is missing.
  const boost::json::value* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }

  // Of the first of these names that is there.
  std::optional<std::int64_t> integer(Names names) const;
  std::optional<double> real(Names names) const;
  std::optional<bool> flag(std::string_view name) const;
  std::optional<std::string> text(std::string_view name) const;
  std::vector<double> reals(std::string_view name) const;       // empty where it is missing
  std::vector<std::string> texts(std::string_view name) const;  // empty where it is missing
  // An object within; empty where it is missing.
  Config within(std::string_view name) const;

  // As above; throws Error(bad_file) where it is missing.
  std::int64_t need_integer(Names names) const;
  double need_real(Names names) const;

  // The fields of `other` take the place of those here.
  void merge(const Config& other);
  // Sets a field that is missing.
  void set_default(std::string_view name, const boost::json::value& value);
  void erase(std::string_view name) { object_.erase({name.data(), name.size()}); }

 private:
  [[noreturn]] void reject(std::string_view name, std::string_view expected) const;
  [[noreturn]] void fail_missing(Names names) const;

  boost::json::object object_;
  std::string source_;
};

}  // namespace medlar::huggingface
