// Tools in the words of a conversation, for chat templates that do not know them.
#pragma once

#include <boost/json/array.hpp>

#include "text/reply/parser.h"

namespace medlar::reply {

// The conversation for a template to render, in OpenAI's form as `messages` and `tools` are; what the
// template writes itself stays as it is. Where it knows no tools, they are described in the system message,
// or before the first user's if there is none, and results are user messages. Where it writes no calls, they
// stand in the assistant's content as the model would write them. Throws Error(usage) for calls without a
// name or arguments, or as render().
boost::json::array tools_as_text(const ReplyFormat& format, const boost::json::array& messages,
                                 const boost::json::array& tools);

}  // namespace medlar::reply
