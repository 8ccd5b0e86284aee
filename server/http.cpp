#include "server/http.h"

namespace medlar::server {

std::string_view to_string(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::del:
      return "DELETE";
    case Method::options:
      return "OPTIONS";
    case Method::other:
      break;
  }
  return "?";
}

std::vector<std::string_view> RequestHead::values(std::string_view lower_case_name) const {
  std::vector<std::string_view> result;
  for (const Header& field : fields)
    if (field.name == lower_case_name) result.push_back(field.value);
  return result;
}

std::string_view RequestHead::value(std::string_view lower_case_name) const {
  for (const Header& field : fields)
    if (field.name == lower_case_name) return field.value;
  return {};
}

}  // namespace medlar::server
