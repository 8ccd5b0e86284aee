// A model's chat template with the tokens it may name: a conversation in, the prompt's text out.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/template.h"
#include "text/tokenizer.h"

namespace medlar::text {

// Texts of special tokens. The template sees those that are not empty, as bos_token, eos_token, ...
struct TemplateTokens {
  std::string bos, eos, unk, pad;
};

// One rendering, by the conventions of Transformers' apply_chat_template.
struct ChatRequest {
  boost::json::array messages;      // OpenAI's form; the template sees exactly these
  boost::json::array tools = {};    // empty: `tools` is none
  boost::json::object variables{};  // further ones, such as enable_thinking; they go before the tokens' texts
  bool add_generation_prompt = true;
  // The last message is the beginning of the answer: the prompt ends where it ends. Not with a generation
  // prompt.
  bool continue_final_message = false;
  std::optional<std::tm> now = {};  // of strftime_now; unset: the local time
  jinja::Limits limits = {};
};

class ChatTemplate {
 public:
  // Throws Error(bad_file) naming the line.
  explicit ChatTemplate(std::string_view source, TemplateTokens tokens = {});

  // ChatML, for models whose file has no template: "<|im_start|>role\ncontent<|im_end|>\n" for each message.
  static ChatTemplate fallback(TemplateTokens tokens = {});

  // The prompt. It holds the begin token's text where the template writes it: encode it with parse_special
  // and without another begin token. Throws Error(usage) where the template refuses the conversation,
  // Error(limit) past the limits, Error(unsupported) for what docs/templates.md lists.
  std::string render(const ChatRequest& request) const;
  // With the parts that the assistant says, where the template marks them with `generation`.
  jinja::Rendered render_marked(const ChatRequest& request) const;

  const std::string& source() const { return source_; }

 private:
  jinja::Value context(const ChatRequest& request) const;

  std::string source_;
  jinja::Template template_;
  TemplateTokens tokens_;
};

// A rendered prompt's tokens. Some templates write the begin token and some leave it to the tokenizer: it is
// there once where the tokenizer adds one.
std::vector<TokenId> encode_rendered(const Tokenizer& tokenizer, std::string_view prompt);

}  // namespace medlar::text
