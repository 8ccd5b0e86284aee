#include "server/prompt.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/host.h"
#include "server/adapters.h"
#include "server/api_error.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

[[noreturn]] void fail_context(const Engine& engine, std::size_t prompt_tokens, std::int64_t limit) {
  const std::int64_t largest = largest_context(engine);
  const auto needed = static_cast<std::int64_t>(prompt_tokens) + 1;
  std::string hint = fmt::format("the largest context that fits is {}", largest);
  if (needed <= largest)
    hint += limit < engine.context() ? ": ask for more" : ": start the server with a larger -c";
  throw ApiError(
      400,
      fmt::format("the prompt has {} tokens, which leaves no room in a context of {}", prompt_tokens, limit),
      {.param = "messages",
       .code = "context_length_exceeded",
       .hint = hint,
       .facts = {{"n_prompt_tokens", prompt_tokens}, {"n_ctx", limit}, {"largest_context", largest}}});
}

}  // namespace

std::int64_t largest_context(const Engine& engine) {
  const std::int64_t bytes_per_token = std::max<std::int64_t>(1, engine.memory_plan().kv / engine.context());
  const std::int64_t more = static_cast<std::int64_t>(probe().available_bytes) / bytes_per_token;
  const std::int64_t trained = engine.description().trained_context;
  return std::max(engine.context(), std::min(trained, engine.context() + more));
}

std::string read_text_parts(const json::value& content, const Path& path) {
  if (content.is_string()) return std::string(content.get_string());
  if (!content.is_array())
    fail_at(path, fmt::format("must be a string or a list of parts, not {}", kind_name(content)));
  std::string text;
  std::size_t i = 0;
  for (const json::value& part : content.get_array()) {
    const Path here = path[i++];
    if (!part.is_object()) fail_at(here, fmt::format("must be an object, not {}", kind_name(part)));
    const json::value* type = part.get_object().if_contains("type");
    const json::value* value = part.get_object().if_contains("text");
    if (!type || !type->is_string()) fail_at(here / "type", "must be a string");
    if (type->get_string() != "text") fail_at(here / "type", "this model reads text only");
    if (!value || !value->is_string()) fail_at(here / "text", "must be a string");
    text += std::string_view(value->get_string());
  }
  return text;
}

ChatMessage JsonType<ChatMessage>::read(const json::value& v, const Path& path, const FieldSpec&) {
  if (!v.is_object()) fail_at(path, fmt::format("must be an object, not {}", kind_name(v)));
  ChatMessage message{v.get_object()};
  const json::value* role = message.object.if_contains("role");
  if (!role || !role->is_string()) fail_at(path / "role", "must be a string");
  if (role->get_string() == "developer") message.object["role"] = "system";
  json::value& content = message.object["content"];
  const bool calls = message.object.contains("tool_calls");
  if (content.is_null() && !calls) fail_at(path / "content", "is required");
  if (!content.is_null()) content = read_text_parts(content, path / "content");
  return message;
}

json::object JsonType<ChatMessage>::schema(const FieldSpec&) {
  const json::object part{{"type", "object"},
                          {"properties", {{"type", {{"const", "text"}}}, {"text", {{"type", "string"}}}}},
                          {"required", {"type", "text"}}};
  return {{"type", "object"},
          {"properties",
           {{"role", {{"type", "string"}}},
            {"content", {{"oneOf", {{{"type", "string"}}, {{"type", "array"}, {"items", part}}}}}}}},
          {"required", {"role", "content"}}};
}

GenerateOptions generate_options(const Engine& engine, const Settings& settings, std::size_t prompt_tokens) {
  const std::int64_t context = settings.context.value_or(engine.context());
  if (context > engine.context())
    throw ApiError(
        400, fmt::format("num_ctx: {} is more than this server's context of {}", context, engine.context()),
        {.param = "num_ctx",
         .code = "context_length_exceeded",
         .hint = fmt::format("start it with -c {}", context),
         .facts = {{"n_ctx", engine.context()}, {"largest_context", largest_context(engine)}}});
  const std::int64_t room = context - static_cast<std::int64_t>(prompt_tokens);
  const bool shifts = settings.overflow == Overflow::shift && !settings.context;
  if (room < 1 && !shifts) fail_context(engine, prompt_tokens, context);
  if (settings.keep > engine.context() / 2)
    fail_at({.name = "num_keep"}, fmt::format("must be at most half of the context of {}", engine.context()));
  if (prompt_tokens == 0) throw ApiError(400, "the prompt is empty", {.param = "prompt"});
  GenerateOptions options{.max_tokens = settings.max_tokens.value_or(-1),
                          .sampler = settings.sampler,
                          .stop = settings.stop,
                          .ignore_end = settings.ignore_end,
                          .top_logprobs = settings.top_logprobs};
  if (settings.context) options.max_tokens = std::min(room, settings.max_tokens.value_or(room));
  if (settings.lora) check_scales(engine, *settings.lora, {.name = "lora"});
  validate(options.sampler, engine.tokenizer().size());
  return options;
}

}  // namespace medlar::server
