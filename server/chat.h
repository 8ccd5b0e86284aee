// How a model chats: from a conversation, and what is demanded of the answer, to the prompt's tokens and the
// plan by which the answer is written and taken apart.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/constraints.h"
#include "server/prompt.h"
#include "server/sampled_turns.h"
#include "server/structure.h"

namespace medlar::server {

// A prompt, and how to answer it.
struct Prepared {
  std::vector<std::int32_t> tokens;
  std::shared_ptr<grammar::Constraint> grammar;  // null: the answer is any text
  std::shared_ptr<const ReplyPlan> reply;        // null: it is not taken apart
  std::vector<std::string> relaxed;              // Constraints::Compiled::relaxed
};

class Chat {
 public:
  // `engine` must outlive it.
  explicit Chat(const Engine& engine);

  // The prompt's text by the model's own template, with the tools in it. Any thread. Throws ApiError(400) for
  // a model without one, and where the template refuses the conversation.
  std::string render(const Conversation& conversation, const boost::json::array& tools = {}) const;
  // Throws as render(), and ApiError(400) for what cannot be demanded.
  Prepared prepare(const Conversation& conversation, const Demands& demands);
  // Of a text to be continued, whatever the tokens.
  Prepared prepare(std::vector<std::int32_t> tokens, const Demands& demands);

  const reply::ReplyFormat& format() const { return format_; }

  // An answer to a prompt of prepare(): a later conversation that quotes it gets the very tokens.
  void remember(std::string_view client, const Generation& generation);

 private:
  std::vector<std::int32_t> tokens_of(const Conversation& conversation, const boost::json::array& tools,
                                      const std::string& prompt) const;
  void add_grammar(const Demands& demands, ReplyPlan& plan, Prepared& prepared);
  bool writes_calls() const;

  const Engine& engine_;
  Constraints constraints_;
  reply::ReplyFormat format_;
  SampledTurns turns_;
  // How the template wants a call: its arguments as JSON text, not as an object; null for no content.
  bool arguments_as_text_ = false, null_content_ = false;
};

}  // namespace medlar::server
