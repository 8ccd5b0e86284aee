// The items of OpenAI's Responses API: as messages that chat templates read, and of what an answer says.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "server/prompt.h"
#include "text/reply/reply.h"

namespace medlar::server {

// What "input" says as a list of items: a text is the user's message.
boost::json::array input_items(const boost::json::value& input);

// What the assistant says in items that follow each other is one message. Throws ApiError(400) naming an item
// of a kind that this server does not read.
std::vector<ChatMessage> messages_of(const boost::json::array& items, const Path& path);

// The items of an answer, as its parts come: the last one is open while more of it may come.
class OutputItems {
 public:
  using Kind = reply::Delta::Kind;

  explicit OutputItems(std::string response) : response_(std::move(response)) {}

  // Of these kinds: content, reasoning, call_begin.
  void begin(const reply::Delta& part);
  void add(std::string_view text);
  void end();
  void drop();

  bool open() const { return open_; }
  Kind kind() const { return kind_; }
  std::size_t index() const { return items_.size() - 1; }
  const boost::json::object& last() const { return items_.back().get_object(); }
  std::string text() const { return text_; }
  // Whole items only.
  boost::json::array all() const { return items_; }

 private:
  void fill(std::string_view status);

  std::string response_;  // its id
  boost::json::array items_;
  bool open_ = false;
  Kind kind_ = Kind::content;
  std::string text_;
  std::size_t made_ = 0;
};

// Those of a whole answer.
boost::json::array output_items(const std::string& response, const reply::Reply& reply);

}  // namespace medlar::server
