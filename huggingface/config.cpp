#include "huggingface/config.h"

#include <boost/json/array.hpp>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace medlar::huggingface {

namespace json = boost::json;

namespace {

std::optional<double> number(const json::value& value) {
  if (value.is_double()) return value.get_double();
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  return std::nullopt;
}

}  // namespace

const json::value* Config::find(std::string_view name) const {
  const json::value* found = object_.if_contains({name.data(), name.size()});
  return found && !found->is_null() ? found : nullptr;
}

std::optional<std::int64_t> Config::integer(Names names) const {
  for (const std::string_view name : names) {
    const json::value* value = find(name);
    if (!value) continue;
    if (!value->is_int64()) reject(name, "an integer");
    return value->get_int64();
  }
  return std::nullopt;
}

std::optional<double> Config::real(Names names) const {
  for (const std::string_view name : names) {
    const json::value* value = find(name);
    if (!value) continue;
    const std::optional<double> n = number(*value);
    if (!n) reject(name, "a number");
    return n;
  }
  return std::nullopt;
}

std::optional<bool> Config::flag(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_bool()) reject(name, "true or false");
  return value->get_bool();
}

std::optional<std::string> Config::text(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) reject(name, "a string");
  return std::string(value->get_string());
}

std::vector<double> Config::reals(std::string_view name) const {
  const json::value* value = find(name);
  std::vector<double> out;
  if (!value) return out;
  if (!value->is_array()) reject(name, "a list of numbers");
  for (const json::value& element : value->get_array()) {
    const std::optional<double> n = number(element);
    if (!n) reject(name, "a list of numbers");
    out.push_back(*n);
  }
  return out;
}

std::vector<std::string> Config::texts(std::string_view name) const {
  const json::value* value = find(name);
  std::vector<std::string> out;
  if (!value) return out;
  if (!value->is_array()) reject(name, "a list of strings");
  for (const json::value& element : value->get_array()) {
    if (!element.is_string()) reject(name, "a list of strings");
    out.emplace_back(element.get_string());
  }
  return out;
}

Config Config::within(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return {{}, source_};
  if (!value->is_object()) reject(name, "an object");
  return {value->get_object(), source_};
}

std::int64_t Config::need_integer(Names names) const {
  const std::optional<std::int64_t> value = integer(names);
  if (!value) fail_missing(names);
  return *value;
}

double Config::need_real(Names names) const {
  const std::optional<double> value = real(names);
  if (!value) fail_missing(names);
  return *value;
}

void Config::merge(const Config& other) {
  for (const json::key_value_pair& field : other.object_) object_[field.key()] = field.value();
}

void Config::set_default(std::string_view name, const json::value& value) {
  if (!has(name)) object_[json::string_view(name.data(), name.size())] = value;
}

void Config::reject(std::string_view name, std::string_view expected) const {
  fail(ErrorKind::bad_file, "{}: field {}: expected {}", source_, name, expected);
}

void Config::fail_missing(Names names) const {
  throw Error(ErrorKind::bad_file, fmt::format("{}: field {} is missing", source_, *names.begin()),
              "the file is incomplete: download the model again");
}

}  // namespace medlar::huggingface
