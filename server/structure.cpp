#include "server/structure.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "server/api_error.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// Whether a demand asks for nothing: null, false, "", "none", "auto", [], {"type": "text"} and the like.
bool asks_for_nothing(const json::value& demand) {
  switch (demand.kind()) {
    case json::kind::null:
      return true;
    case json::kind::bool_:
      return !demand.get_bool();
    case json::kind::array:
      return demand.get_array().empty();
    case json::kind::string: {
      const auto& word = demand.get_string();
      return word.empty() || word == "none" || word == "auto" || word == "text";
    }
    case json::kind::object: {
      const json::value* type = demand.get_object().if_contains("type");
      if (!type) return demand.get_object().empty();
      return type->is_string() && (type->get_string() == "text" || type->get_string() == "auto" ||
                                   type->get_string() == "none" || type->get_string() == "disabled");
    }
    default:
      return false;
  }
}

}  // namespace

const Form<Structure>& structure_form() {
  static const Form<Structure> form = [] {
    Form<Structure> f;
    f.field("response_format", &Structure::response_format,
            {.about = "the form of the answer; only text for now"})
        .field("functions", &Structure::functions, {.about = "not served yet"})
        .field("function_call", &Structure::function_call, {.about = "not served yet"})
        .field("tools", &Structure::tools, {.about = "not served yet"})
        .field("tool_choice", &Structure::tool_choice, {.about = "not served yet"})
        .field("parallel_tool_calls", &Structure::parallel_tool_calls,
               {.about = "means nothing without tools"})
        .field("format", &Structure::format, {.about = "not served yet"})
        .field("think", &Structure::think, {.about = "not served yet"})
        .field("thinking", &Structure::thinking, {.about = "not served yet"})
        .field("grammar", &Structure::grammar, {.about = "not served yet"})
        .field("json_schema", &Structure::json_schema, {.about = "not served yet"});
    return f;
  }();
  return form;
}

void require_plain_text(const Structure& s) {
  const std::array<std::pair<std::string_view, const json::value*>, 10> demands{{
      {"response_format", &s.response_format},
      {"tools", &s.tools},
      {"tool_choice", &s.tool_choice},
      {"functions", &s.functions},
      {"function_call", &s.function_call},
      {"format", &s.format},
      {"think", &s.think},
      {"thinking", &s.thinking},
      {"grammar", &s.grammar},
      {"json_schema", &s.json_schema},
  }};
  for (const auto& [name, demand] : demands) {
    if (!asks_for_nothing(*demand)) fail_at({.name = name}, "this server writes plain text only so far");
  }
}

}  // namespace medlar::server
