// The variables a chat template sees, and ending a prompt inside its last message.
#include "text/chat_template.h"

#include <chrono>

#include "base/error.h"
#include "text/jinja/strings.h"

namespace medlar::text {
namespace {

using jinja::Value;

constexpr std::string_view kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

std::tm local_time() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm time{};
  localtime_r(&now, &time);
  return time;
}

// The last message's text: its content, or the last part of it that has one.
std::string final_text(const boost::json::array& messages) {
  const auto missing = [] { return Error(ErrorKind::usage, "the last message has no text to continue"); };
  if (messages.empty() || !messages.back().is_object()) throw missing();
  const boost::json::value* content = messages.back().get_object().if_contains("content");
  if (content == nullptr) throw missing();
  if (content->is_string()) return std::string(content->get_string());
  if (!content->is_array()) throw missing();
  for (auto part = content->get_array().rbegin(); part != content->get_array().rend(); ++part) {
    const boost::json::value* text = part->is_object() ? part->get_object().if_contains("text") : nullptr;
    if (text != nullptr && text->is_string()) return std::string(text->get_string());
  }
  throw missing();
}

// How many bytes of the prompt lead up to the end of the last message's text. Templates may have trimmed it.
std::size_t final_end(std::string_view prompt, std::string_view text) {
  const std::string_view bare = jinja::strip(text, std::nullopt, jinja::Side::both);
  const std::string_view from_start = jinja::strip(text, std::nullopt, jinja::Side::left);
  const std::size_t at = prompt.rfind(bare);
  if (at == std::string_view::npos) {
    fail(ErrorKind::usage, "the last message's text is not in the prompt, so it cannot be continued");
  }
  const bool spaces_kept = prompt.substr(at, from_start.size()) == from_start;
  return at + (spaces_kept ? from_start.size() : bare.size());
}

}  // namespace

ChatTemplate::ChatTemplate(std::string_view source, TemplateTokens tokens)
    : source_(source), template_(jinja::Template::parse(source)), tokens_(std::move(tokens)) {}

ChatTemplate ChatTemplate::fallback(TemplateTokens tokens) {
  return ChatTemplate(kChatMl, std::move(tokens));
}

Value ChatTemplate::context(const ChatRequest& request) const {
  std::vector<std::pair<std::string, Value>> variables;
  const auto set = [&](std::string_view name, Value value) {
    variables.emplace_back(name, std::move(value));
  };
  const std::pair<std::string_view, const std::string&> tokens[] = {{"bos_token", tokens_.bos},
                                                                    {"eos_token", tokens_.eos},
                                                                    {"unk_token", tokens_.unk},
                                                                    {"pad_token", tokens_.pad}};
  for (const auto& [name, text] : tokens) {
    if (!text.empty()) set(name, Value::string(text));
  }
  set("tools", Value::none());
  set("documents", Value::none());
  for (const auto& variable : request.variables) set(variable.key(), Value::from_json(variable.value()));
  // A later value of one name replaces an earlier one.
  if (!request.tools.empty()) set("tools", Value::from_json(request.tools));
  set("messages", Value::from_json(request.messages));
  set("add_generation_prompt",
      Value::boolean(request.add_generation_prompt && !request.continue_final_message));
  return Value::dict(std::move(variables));
}

jinja::Rendered ChatTemplate::render_marked(const ChatRequest& request) const {
  jinja::RenderOptions options{.limits = request.limits, .now = request.now};
  if (!options.now) options.now = local_time();
  jinja::Rendered prompt = template_.render_marked(context(request), options);
  if (request.continue_final_message)
    prompt.text.resize(final_end(prompt.text, final_text(request.messages)));
  return prompt;
}

std::string ChatTemplate::render(const ChatRequest& request) const { return render_marked(request).text; }

std::vector<TokenId> encode_rendered(const Tokenizer& tokenizer, std::string_view prompt) {
  std::vector<TokenId> tokens = tokenizer.encode(prompt, {.add_special = false, .parse_special = true});
  const TokenId begin = tokenizer.special().bos;
  if (tokenizer.adds_bos() && (tokens.empty() || tokens[0] != begin)) tokens.insert(tokens.begin(), begin);
  return tokens;
}

}  // namespace medlar::text
