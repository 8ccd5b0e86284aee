// What the OpenAI routes share: a token's text and log probabilities, usage, timings, and server-sent events.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <span>
#include <string>
#include <string_view>

#include "server/generation.h"

namespace medlar::server {

std::int64_t unix_time();

// "data: {...}\n\n"
std::string sse(const boost::json::value& data);
// With "event: NAME" before it.
std::string sse(std::string_view event, const boost::json::value& data);
// The head of a stream of such events about this outcome.
Response sse_head(const Outcome& outcome);

std::string_view openai_finish(const Generation& generation);
// {"role": "assistant", "content", ...}
boost::json::object openai_message(const reply::Reply& reply);
boost::json::object openai_usage(const Usage& usage);
// As llama-server reports them.
boost::json::object timings_json(const Generation& generation);
// {"cache": {...}, "dropped": [...], ...}: how much of each prompt was in the cache, why not more, and which
// tokens were left out.
boost::json::object medlar_json(const Outcome& outcome);
// Only what it says of tokens that were left out of the prompts; empty: none were.
boost::json::object left_out_json(const Outcome& outcome);
// Of an answer, while it is written.
boost::json::object left_out_json(int choice, const DroppedTokens& dropped);
// The end of a stream: the last chunk, with time and cache; where usage was asked for, a chunk of its own
// with it, of the same frame; and the mark that nothing follows.
void end_stream(Exchange& exchange, const Outcome& outcome, boost::json::object last,
                std::optional<boost::json::object> usage);

// What tokens say need not be whole characters: the rest becomes U+FFFD.
std::string valid_utf8(std::string_view bytes);
std::string token_text(const text::Tokenizer& tokenizer, std::int32_t token);
// [{"token", "logprob", "bytes", "top_logprobs": [...]}, ...]
boost::json::array chat_logprobs(const text::Tokenizer& tokenizer, std::span<const TokenInfo> tokens,
                                 int top);

}  // namespace medlar::server
