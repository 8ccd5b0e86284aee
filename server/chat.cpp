#include "server/chat.h"

#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "server/api_error.h"
#include "text/reply/detect.h"
#include "text/reply/tools_as_text.h"

namespace medlar::server {
namespace {

namespace json = boost::json;
using Kind = reply::ToolChoice::Kind;

reply::ReplyFormat format_of(const Engine& engine, std::span<const grammar::Vocabulary::Token> tokens) {
  std::vector<std::string> specials;
  for (const grammar::Vocabulary::Token& token : tokens) specials.emplace_back(token.bytes);
  return reply::detect(engine.chat_template() ? engine.chat_template()->source() : "", specials);
}

// The functions of a message's tool calls.
std::vector<json::object*> called_functions(json::object& message) {
  std::vector<json::object*> functions;
  json::value* calls = message.if_contains("tool_calls");
  if (!calls || !calls->is_array()) return functions;
  for (json::value& call : calls->get_array())
    if (call.is_object())
      if (json::value* function = call.get_object().if_contains("function");
          function && function->is_object())
        functions.push_back(&function->get_object());
  return functions;
}

// Calls as the template wants them: arguments come as the text of an object, or as one, and content may be
// null.
void convert_calls(json::object& message, bool as_text, bool null_content) {
  if (!message.contains("tool_calls")) return;
  json::value& content = message["content"];
  if (content.is_null() && !null_content) content = "";
  if (null_content && content == "") content = nullptr;
  for (json::object* function : called_functions(message)) {
    json::value& arguments = (*function)["arguments"];
    if (as_text && arguments.is_object()) arguments = json::serialize(arguments);
    if (as_text || !arguments.is_string()) continue;
    if (json::value parsed = parsed_or_null(arguments.get_string()); parsed.is_object())
      arguments = std::move(parsed);
  }
}

// Some templates want to know which function a result is of.
void name_results(json::array& messages) {
  json::object names;  // by the call's id
  for (json::value& value : messages) {
    json::object& message = value.get_object();
    if (json::value* calls = message.if_contains("tool_calls"); calls && calls->is_array()) {
      for (const json::value& call : calls->get_array()) {
        const json::value* id = call.is_object() ? call.get_object().if_contains("id") : nullptr;
        const json::value* function = call.is_object() ? call.get_object().if_contains("function") : nullptr;
        if (id && id->is_string() && function && function->is_object() &&
            function->get_object().contains("name"))
          names[id->get_string()] = function->at("name");
      }
    }
    const json::value* id = message.if_contains("tool_call_id");
    if (!id || !id->is_string() || message.contains("name")) continue;
    if (const json::value* name = names.if_contains(id->get_string())) message["name"] = *name;
  }
}

// What chat templates call it.
void add_reasoning_variables(const Demands& demands, json::object& variables) {
  const auto add = [&](std::string_view name, json::value value) {
    if (!variables.contains(name)) variables[name] = std::move(value);
  };
  if (demands.think) {
    add("enable_thinking", *demands.think);
    add("thinking", *demands.think);
  }
  if (!demands.effort.empty()) add("reasoning_effort", json::value(demands.effort));
}

std::vector<reply::Tool> tools_of(const Demands& demands) {
  std::vector<reply::Tool> tools;
  for (const json::value& tool : demands.tools) {
    const json::object& function = tool.at("function").as_object();
    const json::value* parameters = function.if_contains("parameters");
    tools.push_back({std::string(function.at("name").as_string()), parameters ? *parameters : json::value()});
  }
  return tools;
}

// Whether a tool asks for its schema to be kept to.
bool strict(const Demands& demands) {
  for (const json::value& tool : demands.tools) {
    const json::value* strict = tool.at("function").as_object().if_contains("strict");
    if (strict && strict->is_bool() && strict->get_bool()) return true;
  }
  return false;
}

// A turn that is known as tokens, and what stands for it in a text.
struct Quoted {
  std::shared_ptr<const SampledTurns::Turn> turn;
  std::string mark;
};

// The tokens of a prompt, `marked` with the quotes' marks and with the turns' own words in `plain`. Nothing
// where the two differ in more than that, or a turn's reasoning is not repeated.
std::optional<std::vector<std::int32_t>> with_quotes(const text::Tokenizer& tokenizer,
                                                     std::string_view marked, std::string_view plain,
                                                     const std::vector<Quoted>& quotes) {
  std::vector<std::int32_t> tokens;
  std::size_t at = 0, in_plain = 0;
  for (std::size_t i = 0; i <= quotes.size(); ++i) {
    const bool last = i == quotes.size();
    const std::size_t end = last ? marked.size() : marked.find(quotes[i].mark, at);
    if (end == marked.npos) return std::nullopt;
    const std::string_view piece = marked.substr(at, end - at);
    const std::size_t found = last     ? plain.size() - std::min(plain.size(), piece.size())
                              : i == 0 ? 0
                                       : plain.find(piece, in_plain);
    if (found < in_plain || found == plain.npos || plain.substr(found, piece.size()) != piece)
      return std::nullopt;
    if (i > 0 && plain.substr(in_plain, found - in_plain).find(quotes[i - 1].turn->reasoning) == plain.npos)
      return std::nullopt;
    std::vector<std::int32_t> more =
        i == 0 ? text::encode_rendered(tokenizer, piece)
               : tokenizer.encode(piece, {.add_special = false, .parse_special = true});
    // Text that begins in the middle of a text may become other tokens than at the beginning of one.
    if (i > 0 && (more.empty() || tokenizer.type(more[0]) == text::TokenType::normal)) return std::nullopt;
    tokens.insert(tokens.end(), more.begin(), more.end());
    if (last) break;
    tokens.insert(tokens.end(), quotes[i].turn->tokens.begin(), quotes[i].turn->tokens.end());
    at = end + quotes[i].mark.size();
    in_plain = found + piece.size();
  }
  return tokens;
}

}  // namespace

Chat::Chat(const Engine& engine)
    : engine_(engine), constraints_(engine), format_(format_of(engine, constraints_.specials())) {
  if (!engine.chat_template() || !format_.template_has_calls) return;
  for (const bool as_text : {false, true}) {
    for (const bool null_content : {false, true}) {
      arguments_as_text_ = as_text, null_content_ = null_content;
      if (writes_calls()) return;
    }
  }
  arguments_as_text_ = null_content_ = false;
}

// Whether the template writes calls that come like this: neither fails nor leaves them out, nor writes their
// arguments as Python does.
bool Chat::writes_calls() const {
  json::object call{{"role", "assistant"},
                    {"content", ""},
                    {"tool_calls",
                     {{{"id", "000000000"},
                       {"type", "function"},
                       {"function", {{"name", "probe"}, {"arguments", {{"needle", "thread"}}}}}}}}};
  convert_calls(call, arguments_as_text_, null_content_);
  const json::array messages{
      {{"role", "user"}, {"content", "x"}},
      std::move(call),
      {{"role", "tool"}, {"tool_call_id", "000000000"}, {"name", "probe"}, {"content", "x"}}};
  try {
    const std::string prompt = engine_.chat_template()->render({.messages = messages});
    return prompt.find("needle") != prompt.npos && prompt.find("'needle'") == prompt.npos;
  } catch (const Error&) {
    return false;
  }
}

std::string Chat::render(const Conversation& conversation, const json::array& tools) const {
  if (!engine_.chat_template())
    throw ApiError(
        400, "the model has no chat template, so it cannot chat",
        {.param = "model", .code = "no_chat_template", .hint = "/v1/completions continues a text with it"});
  json::array messages;
  for (const ChatMessage& message : conversation.messages) {
    messages.push_back(message.object);
    if (format_.template_has_calls)
      convert_calls(messages.back().get_object(), arguments_as_text_, null_content_);
  }
  name_results(messages);
  try {
    return engine_.chat_template()->render({.messages = reply::tools_as_text(format_, messages, tools),
                                            .tools = format_.template_has_tools ? tools : json::array(),
                                            .variables = conversation.variables,
                                            .add_generation_prompt = !conversation.continue_last,
                                            .continue_final_message = conversation.continue_last});
  } catch (const Error& e) {
    throw ApiError(400, fmt::format("the chat template refuses these messages: {}", e.what()),
                   {.param = "messages", .hint = e.hint()});
  }
}

// The conversation with marks where turns are known as tokens: as the template writes them, if what it writes
// around them is the same. Else the prompt's text alone decides.
std::vector<std::int32_t> Chat::tokens_of(const Conversation& conversation, const json::array& tools,
                                          const std::string& prompt) const {
  const text::Tokenizer& tokenizer = engine_.tokenizer();
  Conversation marked{conversation};
  std::vector<Quoted> quotes;
  const std::size_t last = marked.messages.size() - (conversation.continue_last ? 1 : 0);
  for (std::size_t i = 0; i < last; ++i) {
    json::object& message = marked.messages[i].object;
    if (message.at("role") != "assistant") continue;
    auto turn = turns_.find(conversation.client, message);
    if (!turn) continue;
    quotes.push_back({std::move(turn), fmt::format("\uE0A1medlar{}\uE0A1", i)});
    message = {{"role", "assistant"}, {"content", quotes.back().mark}};
  }
  if (quotes.empty()) return text::encode_rendered(tokenizer, prompt);
  try {
    if (auto tokens = with_quotes(tokenizer, render(marked, tools), prompt, quotes)) return *tokens;
  } catch (const Error&) {  // the template refuses the marks
  }
  return text::encode_rendered(tokenizer, prompt);
}

void Chat::remember(std::string_view client, const Generation& generation) {
  if (generation.finish != FinishReason::stop || !generation.reply || generation.reply->malformed) return;
  // A stop string has cut the text shorter than the tokens.
  if (engine_.tokenizer().decode(generation.tokens, {.special = true}) != generation.reply->text) return;
  turns_.remember(client, *generation.reply, generation.tokens);
}

Prepared Chat::prepare(const Conversation& conversation, const Demands& demands) {
  Conversation told{conversation};
  add_reasoning_variables(demands, told.variables);
  const bool uses_tools = !demands.tools.empty() && demands.choice.kind != Kind::none;
  const std::string prompt = render(told, uses_tools ? demands.tools : json::array());
  Prepared prepared{.tokens = tokens_of(told, uses_tools ? demands.tools : json::array(), prompt)};
  auto plan = std::make_shared<ReplyPlan>(ReplyPlan{.format = format_});
  plan->options.parse_calls = uses_tools;
  plan->options.split_reasoning = demands.split_reasoning;
  if (uses_tools) plan->options.tools = tools_of(demands);
  if (!conversation.continue_last) plan->options.opened = reply::opened_by(format_, prompt);
  plan->reasoning_budget = demands.think == false ? 0 : demands.budget;
  if (plan->reasoning_budget >= 0 && !format_.reasoning->close.empty())
    plan->reasoning_end = engine_.tokenizer().encode(format_.reasoning->close[0],
                                                     {.add_special = false, .parse_special = true});
  add_grammar(demands, *plan, prepared);
  prepared.reply = std::move(plan);
  return prepared;
}

void Chat::add_grammar(const Demands& demands, ReplyPlan& plan, Prepared& prepared) {
  std::optional<reply::ToolGrammar> tools;
  try {
    tools = reply::tool_grammar({.format = format_,
                                 .tools = plan.options.tools,
                                 .choice = demands.choice,
                                 .opened = plan.options.opened,
                                 .reasoning = demands.think != false,
                                 .content = demands.content.has_value()});
  } catch (const Error& e) {
    throw ApiError(400, e.what(), {.param = "tools", .hint = e.hint()});
  }
  if (!tools) return;
  Constraints::Compiled compiled = constraints_.get(*tools, demands.content, strict(demands));
  prepared.grammar = std::move(compiled.grammar);
  prepared.relaxed = std::move(compiled.relaxed);
  for (const std::string& trigger : tools->triggers)
    plan.triggers.push_back(grammar::spell_tokens(trigger, constraints_.specials()));
  plan.trigger_at_start = tools->trigger_at_start;
}

Prepared Chat::prepare(std::vector<std::int32_t> tokens, const Demands& demands) {
  Prepared prepared{.tokens = std::move(tokens)};
  if (demands.content) prepared.grammar = constraints_.get(*demands.content).grammar;
  return prepared;
}

}  // namespace medlar::server
