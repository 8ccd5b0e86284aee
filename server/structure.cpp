#include "server/structure.h"

#include <boost/json/serialize.hpp>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "server/api_error.h"

namespace medlar::server {
namespace {

namespace json = boost::json;
using Choice = reply::ToolChoice;

constexpr std::size_t kMostTools = 1024;
constexpr std::string_view kAnyObject = R"({"type":"object"})";

ContentForm form_of(ContentForm::Notation notation, std::string source, const Path& path) {
  return {.notation = notation, .source = std::move(source), .param = path.text()};
}

ContentForm schema_at(const json::value& schema, const Path& path) {
  if (schema.is_string())  // as llama-server's older clients send it
    return form_of(ContentForm::Notation::json_schema, std::string(schema.get_string()), path);
  if (!schema.is_object() && !schema.is_bool())
    fail_at(path, fmt::format("must be a JSON Schema, not {}", kind_name(schema)));
  return form_of(ContentForm::Notation::json_schema, json::serialize(schema), path);
}

void set_content(Demands& demands, ContentForm form) {
  if (demands.content)
    throw ApiError(
        400, fmt::format("{} and {} both say what the answer looks like", demands.content->param, form.param),
        {.param = form.param, .hint = "send one of them"});
  demands.content = std::move(form);
}

void read_text_form(const json::value& value, ContentForm::Notation notation, std::string_view name,
                    Demands& demands) {
  if (value.is_null() || (value.is_string() && value.get_string().empty())) return;
  const Path path{.name = name};
  if (!value.is_string()) fail_at(path, fmt::format("must be a string, not {}", kind_name(value)));
  set_content(demands, form_of(notation, std::string(value.get_string()), path));
}

// {"name", "description", "parameters"}, checked. Templates count on the last two: where a request leaves
// them out, they are empty.
json::object function_at(const json::value& value, const Path& path) {
  json::object function = object_at(value, path);
  if (text_at(function, "name", path).empty()) fail_at(path / "name", "is required");
  if (text_at(function, "name", path).size() > 256) fail_at(path / "name", "is longer than 256 bytes");
  const std::string description(text_at(function, "description", path));  // [] may move what a view is of
  function["description"] = description;
  json::value& parameters = function["parameters"];
  if (parameters.is_null()) parameters = {{"type", "object"}, {"properties", json::object()}};
  if (!parameters.is_object())
    fail_at(path / "parameters", fmt::format("must be a JSON Schema, not {}", kind_name(parameters)));
  return function;
}

void add_tool(Demands& demands, json::object function, const Path& path) {
  for (const json::value& tool : demands.tools)
    if (tool.at("function").at("name") == function.at("name"))
      fail_at(path,
              fmt::format("there are two tools \"{}\"", std::string_view(function.at("name").get_string())));
  demands.tools.push_back({{"type", "function"}, {"function", std::move(function)}});
}

const json::array& list_at(const json::value& value, const Path& path) {
  if (!value.is_array()) fail_at(path, fmt::format("must be a list, not {}", kind_name(value)));
  if (value.get_array().size() > kMostTools) fail_at(path, fmt::format("has more than {} items", kMostTools));
  return value.get_array();
}

// `flat`: a function's name and parameters stand in the tool itself, as in the Responses API.
void read_openai_tools(const json::value& tools, bool flat, Demands& demands) {
  if (tools.is_null()) return;
  const Path path{.name = "tools"};
  std::size_t i = 0;
  for (const json::value& tool : list_at(tools, path)) {
    const Path here = path[i++];
    const json::object& object = object_at(tool, here);
    const std::string_view type = text_at(object, "type", here);
    if (type != "function" && !type.empty())
      fail_at(here / "type",
              fmt::format("this server calls functions only, not \"{}\"", printable(type, 64)));
    if (flat) {
      json::object function = function_at(tool, here);
      function.erase("type");
      add_tool(demands, std::move(function), here);
      continue;
    }
    const json::value* function = object.if_contains("function");
    if (!function) fail_at(here / "function", "is required");
    add_tool(demands, function_at(*function, here / "function"), here);
  }
}

bool has_tool(const Demands& demands, std::string_view name) {
  for (const json::value& tool : demands.tools)
    if (tool.at("function").at("name").as_string() == name) return true;
  return false;
}

void choose_tool(Demands& demands, std::string_view name, const Path& path) {
  if (!has_tool(demands, name))
    fail_at(path, fmt::format("there is no tool \"{}\" in this request", printable(name, 64)));
  demands.choice.kind = Choice::Kind::named;
  demands.choice.name = name;
}

void read_openai_choice(const json::value& choice, bool flat, Demands& demands) {
  const Path path{.name = "tool_choice"};
  if (choice.is_null()) return;
  if (choice.is_object() && flat)
    return choose_tool(demands, text_at(choice.get_object(), "name", path), path / "name");
  if (choice.is_object()) {
    const json::value* function = choice.get_object().if_contains("function");
    if (!function) fail_at(path / "function", "is required");
    return choose_tool(demands, text_at(object_at(*function, path / "function"), "name", path / "function"),
                       path / "function" / "name");
  }
  const std::string_view word = choice.is_string() ? std::string_view(choice.get_string()) : "";
  if (word == "auto") {
    demands.choice.kind = Choice::Kind::automatic;
  } else if (word == "none") {
    demands.choice.kind = Choice::Kind::none;
  } else if (word == "required") {
    if (demands.tools.empty()) fail_at(path, "a call is required, and there are no tools");
    demands.choice.kind = Choice::Kind::required;
  } else {
    fail_at(path,
            "must be \"auto\", \"none\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": "
            "...}}");
  }
}

void read_response_format(const json::value& value, const Path& path, Demands& demands) {
  if (value.is_null()) return;
  const json::object& format = object_at(value, path);
  const std::string_view type = text_at(format, "type", path);
  if (type == "text") return;
  if (type == "json_object") {
    const json::value* schema = format.if_contains("schema");
    return set_content(demands,
                       schema ? schema_at(*schema, path / "schema")
                              : form_of(ContentForm::Notation::json_schema, std::string(kAnyObject), path));
  }
  if (type != "json_schema") fail_at(path / "type", "must be one of text, json_object, json_schema");
  // llama-server also takes the schema right here.
  const json::value* named = format.if_contains("json_schema");
  const Path inner = path / "json_schema";
  const json::value* schema =
      named ? object_at(*named, inner).if_contains("schema") : format.if_contains("schema");
  if (!schema) fail_at((named ? inner : path) / "schema", "is required");
  set_content(demands, schema_at(*schema, (named ? inner : path) / "schema"));
}

void read_effort(std::string_view effort, Demands& demands) {
  if (effort.empty()) return;
  demands.think = effort != "none";
  if (effort != "none") demands.effort = effort;
}

// Those that all have.
Form<Structure> content_fields() {
  Form<Structure> form;
  form.field("grammar", &Structure::grammar, {.about = "the answer is a text of this grammar (GBNF)"})
      .field("json_schema", &Structure::json_schema, {.about = "the answer is JSON that fulfils this schema"})
      .field("regex", &Structure::regex, {.about = "the answer matches this regular expression"});
  return form;
}

// Those of OpenAI's two kinds of chat.
void add_tool_fields(Form<Structure>& form) {
  form.field("tools", &Structure::tools, {.about = "functions that the model may call"})
      .field("tool_choice", &Structure::tool_choice,
             {.about = "auto, none, required, or the function that must be called"})
      .field("parallel_tool_calls", &Structure::parallel_tool_calls, {.about = "several calls in one answer"})
      .field("reasoning_budget", &Structure::reasoning_budget,
             {.about = "tokens of reasoning at most; -1: no limit", .min = -1});
}

Demands content_demands(const Structure& s) {
  Demands demands;
  read_text_form(s.grammar, ContentForm::Notation::gbnf, "grammar", demands);
  read_text_form(s.regex, ContentForm::Notation::regex, "regex", demands);
  const bool empty =
      s.json_schema.is_null() || (s.json_schema.is_object() && s.json_schema.get_object().empty());
  if (!empty) set_content(demands, schema_at(s.json_schema, {.name = "json_schema"}));
  return demands;
}

}  // namespace

const Form<Structure>& completion_structure_form() {
  static const Form<Structure> form = [] {
    Form<Structure> f = content_fields();
    f.field("response_format", &Structure::response_format,
            {.about = "text, json_object, or json_schema with its schema"});
    return f;
  }();
  return form;
}

const Form<Structure>& openai_structure_form() {
  static const Form<Structure> form = [] {
    Form<Structure> f = completion_structure_form();
    add_tool_fields(f);
    f.field("functions", &Structure::functions, {.about = "not served: send tools"})
        .field("function_call", &Structure::function_call, {.about = "not served: send tool_choice"})
        .field("reasoning_effort", &Structure::reasoning_effort,
               {.about = "none: no reasoning; others are told to the chat template",
                .choices = {"none", "minimal", "low", "medium", "high", "xhigh"}})
        .field("reasoning_format", &Structure::reasoning_format,
               {.about = "none: reasoning is part of the content, with its marks",
                .choices = {"auto", "deepseek", "none"}})
        .field("thinking_budget_tokens", &Structure::reasoning_budget,
               {.about = "as reasoning_budget", .min = -1});
    return f;
  }();
  return form;
}

const Form<Structure>& responses_structure_form() {
  static const Form<Structure> form = [] {
    Form<Structure> f = content_fields();
    add_tool_fields(f);
    f.field("text", &Structure::text,
            {.about = "{\"format\": text, json_object, or json_schema with its schema}"})
        .field("reasoning", &Structure::reasoning,
               {.about = "{\"effort\": none, or what the template is told}"});
    return f;
  }();
  return form;
}

const Form<Structure>& ollama_structure_form() {
  static const Form<Structure> form = [] {
    Form<Structure> f = content_fields();
    f.field("format", &Structure::format, {.about = "\"json\", or a JSON Schema that the answer fulfils"})
        .field("tools", &Structure::tools, {.about = "functions that the model may call"})
        .field("think", &Structure::think,
               {.about = "false: no reasoning; true, or \"low\", \"medium\", \"high\": with it"});
    return f;
  }();
  return form;
}

const Form<Structure>& anthropic_structure_form() {
  static const Form<Structure> form = [] {
    Form<Structure> f = content_fields();
    f.field("tools", &Structure::tools, {.about = "tools that the model may use"})
        .field("tool_choice", &Structure::tool_choice,
               {.about = "{\"type\": auto, any, tool or none}; disable_parallel_tool_use"})
        .field(
            "thinking", &Structure::thinking,
            {.about =
                 "{\"type\": enabled, disabled or adaptive, \"budget_tokens\": tokens of reasoning at most}"})
        .field("output_format", &Structure::output_format,
               {.about = "{\"type\": \"json_schema\", \"schema\": ...}"})
        .field("output_config", &Structure::output_config,
               {.about = "{\"format\": as output_format, \"effort\": told to the chat template}"});
    return f;
  }();
  return form;
}

Demands completion_demands(const Structure& s) {
  Demands demands = content_demands(s);
  read_response_format(s.response_format, {.name = "response_format"}, demands);
  return demands;
}

Demands openai_demands(const Structure& s) {
  Demands demands = content_demands(s);
  read_response_format(s.response_format, {.name = "response_format"}, demands);
  for (const auto& [name, value] :
       {std::pair{"functions", &s.functions}, {"function_call", &s.function_call}})
    if (!value->is_null()) fail_at({.name = name}, "is no longer served; send tools and tool_choice");
  read_openai_tools(s.tools, false, demands);
  read_openai_choice(s.tool_choice, false, demands);
  demands.choice.parallel = s.parallel_tool_calls;
  read_effort(s.reasoning_effort, demands);
  demands.budget = s.reasoning_budget;
  demands.split_reasoning = s.reasoning_format != "none";
  return demands;
}

Demands responses_demands(const Structure& s) {
  Demands demands = content_demands(s);
  if (!s.text.is_null()) {
    const Path path{.name = "text"};
    if (const json::value* format = object_at(s.text, path).if_contains("format"))
      read_response_format(*format, path / "format", demands);
  }
  read_openai_tools(s.tools, true, demands);
  read_openai_choice(s.tool_choice, true, demands);
  demands.choice.parallel = s.parallel_tool_calls;
  if (!s.reasoning.is_null()) {
    const Path path{.name = "reasoning"};
    read_effort(text_at(object_at(s.reasoning, path), "effort", path), demands);
  }
  demands.budget = s.reasoning_budget;
  return demands;
}

Demands ollama_demands(const Structure& s) {
  Demands demands = content_demands(s);
  const Path format{.name = "format"};
  if (s.format.is_string()) {
    const auto& word = s.format.get_string();
    if (word == "json") {
      set_content(demands, form_of(ContentForm::Notation::json_schema, std::string(kAnyObject), format));
    } else if (!word.empty()) {
      fail_at(format, "must be \"json\" or a JSON Schema");
    }
  } else if (!s.format.is_null()) {
    set_content(demands, schema_at(s.format, format));
  }
  read_openai_tools(s.tools, false, demands);
  if (s.think.is_bool()) demands.think = s.think.get_bool();
  if (s.think.is_string()) read_effort(s.think.get_string(), demands);
  return demands;
}

namespace {

void read_anthropic_tools(const json::value& tools, Demands& demands) {
  if (tools.is_null()) return;
  const Path path{.name = "tools"};
  std::size_t i = 0;
  for (const json::value& tool : list_at(tools, path)) {
    const Path here = path[i++];
    const json::object& object = object_at(tool, here);
    const std::string_view type = text_at(object, "type", here);
    if (!type.empty() && type != "custom")
      fail_at(here / "type",
              fmt::format("the tool \"{}\" is Anthropic's own; this server has custom tools only",
                          printable(type, 64)));
    json::object function{{"name", text_at(object, "name", here)}};
    if (const auto about = text_at(object, "description", here); !about.empty())
      function["description"] = about;
    const json::value* schema = object.if_contains("input_schema");
    if (!schema) fail_at(here / "input_schema", "is required");
    function["parameters"] = object_at(*schema, here / "input_schema");
    add_tool(demands, function_at(function, here), here);
  }
}

void read_anthropic_choice(const json::value& value, Demands& demands) {
  if (value.is_null()) return;
  const Path path{.name = "tool_choice"};
  const json::object& choice = object_at(value, path);
  const std::string_view type = text_at(choice, "type", path);
  if (const json::value* disable = choice.if_contains("disable_parallel_tool_use");
      disable && disable->is_bool())
    demands.choice.parallel = !disable->get_bool();
  if (type == "tool") return choose_tool(demands, text_at(choice, "name", path), path / "name");
  if (type == "any" && demands.tools.empty()) fail_at(path, "a tool must be used, and there are none");
  if (type != "auto" && type != "any" && type != "none")
    fail_at(path / "type", "must be one of auto, any, tool, none");
  demands.choice.kind = type == "any"    ? Choice::Kind::required
                        : type == "none" ? Choice::Kind::none
                                         : Choice::Kind::automatic;
}

void read_thinking(const json::value& value, Demands& demands) {
  if (value.is_null()) return;
  const Path path{.name = "thinking"};
  const json::object& thinking = object_at(value, path);
  const std::string_view type = text_at(thinking, "type", path);
  if (type != "enabled" && type != "disabled" && type != "adaptive")
    fail_at(path / "type", "must be one of enabled, disabled, adaptive");
  demands.think = type != "disabled";
  const json::value* budget = thinking.if_contains("budget_tokens");
  if (type == "enabled" && budget && !budget->is_null())
    demands.budget = JsonType<std::int64_t>::read(*budget, path / "budget_tokens", {.min = 0});
}

void read_output_format(const json::value& value, const Path& path, Demands& demands) {
  if (value.is_null()) return;
  const json::object& format = object_at(value, path);
  if (text_at(format, "type", path) != "json_schema") fail_at(path / "type", "must be json_schema");
  const json::value* schema = format.if_contains("schema");
  if (!schema) fail_at(path / "schema", "is required");
  set_content(demands, schema_at(*schema, path / "schema"));
}

}  // namespace

Demands anthropic_demands(const Structure& s) {
  Demands demands = content_demands(s);
  read_anthropic_tools(s.tools, demands);
  read_anthropic_choice(s.tool_choice, demands);
  read_thinking(s.thinking, demands);
  read_output_format(s.output_format, {.name = "output_format"}, demands);
  if (s.output_config.is_null()) return demands;
  const Path path{.name = "output_config"};
  const json::object& config = object_at(s.output_config, path);
  if (const json::value* format = config.if_contains("format"))
    read_output_format(*format, path / "format", demands);
  demands.effort = text_at(config, "effort", path);
  return demands;
}

}  // namespace medlar::server
