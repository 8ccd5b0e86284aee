// OpenAI's Responses API: what its requests and its streams share.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <string>

#include "server/generation.h"
#include "server/response_store.h"
#include "server/routes.h"

namespace medlar::server {

// What a response says whatever its answer is, and how it is kept.
struct ResponseFrame {
  std::string id;
  boost::json::object asked;  // what the request said, as every response repeats it
  std::string previous;
  boost::json::array input;  // the request's own items
  bool store = true;

  boost::json::object object(std::string_view status, boost::json::array output) const;
  // With usage, and why it is incomplete where it is.
  boost::json::object ended(const Outcome& outcome, boost::json::array output) const;
};

// Keeps the response, if that is wanted, and then hands it to `send`, with a word about it where it could not
// be kept. `send` may run on another thread.
void keep(const Call& call, const ResponseFrame& frame, boost::json::object response,
          std::function<void(Exchange&, const boost::json::object&)> send);

// The answer as one object, or as events.
std::unique_ptr<Answer> whole_response(const Call& call, ResponseFrame frame);
std::unique_ptr<Answer> response_stream(const Call& call, ResponseFrame frame);

}  // namespace medlar::server
