#include "server/api_error.h"

#include <boost/json/serialize.hpp>
#include <exception>
#include <new>

namespace medlar::server {
namespace {

namespace json = boost::json;

int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
    case ErrorKind::unsupported:
    case ErrorKind::limit:
      return 400;
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::cancelled:
      return 499;
    case ErrorKind::io:
    case ErrorKind::no_space:
    case ErrorKind::out_of_memory:
    case ErrorKind::device:
      return 503;
    case ErrorKind::bad_file:
    case ErrorKind::network:
      break;
  }
  return 500;
}

ErrorKind kind_of(int status) {
  if (status == 404) return ErrorKind::not_found;
  return status < 500 ? ErrorKind::usage : ErrorKind::limit;
}

std::string_view openai_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 429:
      return "rate_limit_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

std::string_view anthropic_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

json::value or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

}  // namespace

ApiError::ApiError(int status, const std::string& message, About about)
    : Error(kind_of(status), message, about.hint), status_(status), about_(std::move(about)) {}
ApiError::ApiError(const Error& error) : Error(error), status_(status_of(error.kind())) {}

std::string ApiError::text() const {
  return hint().empty() ? std::string(what()) : fmt::format("{} ({})", what(), hint());
}

json::object error_object(Dialect dialect, const ApiError& error) {
  json::object object{{"message", error.text()}};
  for (const auto& [name, value] : error.about().facts) object[name] = value;
  switch (dialect) {
    case Dialect::openai:
      object["type"] = openai_type(error.status());
      object["param"] = or_null(error.about().param);
      object["code"] = or_null(error.about().code);
      return {{"error", std::move(object)}};
    case Dialect::anthropic:
      object["type"] = anthropic_type(error.status());
      return {{"type", "error"}, {"error", std::move(object)}};
    case Dialect::ollama:
      return {{"error", error.text()}};
    case Dialect::llama:
      break;
  }
  object["code"] = error.status();
  object["type"] = error.about().code.empty() ? openai_type(error.status()) : error.about().code;
  return {{"error", std::move(object)}};
}

Response error_response(Dialect dialect, const ApiError& error) {
  Response response{.status = error.status(), .body = json::serialize(error_object(dialect, error))};
  if (error.status() == 503) response.fields.push_back({"retry-after", "1"});
  if (error.status() == 401) response.fields.push_back({"www-authenticate", "Bearer"});
  return response;
}

ApiError current_error() {
  try {
    throw;
  } catch (const ApiError& e) {
    return e;
  } catch (const Error& e) {
    return ApiError(e);
  } catch (const std::bad_alloc&) {
    return {503, "there is not enough memory for this request", {.hint = "send less, or free memory"}};
  } catch (const std::exception& e) {
    return {500, std::string("this is a bug of the server: ") + e.what(), {.hint = "please report it"}};
  }
}

}  // namespace medlar::server
