// What went wrong, in the form each protocol's clients understand.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "server/http.h"

namespace medlar::server {

// Whose manners a route has.
enum class Dialect : std::uint8_t { openai, anthropic, ollama, llama };

// An error that knows its HTTP status, the field it is about, and facts for a program.
class ApiError : public Error {
 public:
  struct About {
    std::string param;          // "messages[2].content"; empty: no field
    std::string code;           // "context_length_exceeded"; empty: none
    std::string hint;           // what to do
    boost::json::object facts;  // further members of the error object
  };

  ApiError(int status, const std::string& message, About about = {});
  // The status that the error's kind stands for.
  explicit ApiError(const Error& error);

  int status() const { return status_; }
  const About& about() const { return about_; }
  // Message and hint in one text.
  std::string text() const;

 private:
  int status_;
  About about_;
};

// The error's object, for a response or as an event of a stream.
boost::json::object error_object(Dialect dialect, const ApiError& error);
Response error_response(Dialect dialect, const ApiError& error);

// Of what is being handled by a catch block.
ApiError current_error();

}  // namespace medlar::server
