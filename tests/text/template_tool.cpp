// template_tool: renders templates for comparison with Jinja2. Each line of input is a JSON object, each line
// of output its answer: {"text": ...}, or {"error": kind, "message": ...}.
//   {"template": TEXT, "context": OBJECT}                       a template and its variables
//   {"template": TEXT, "messages": LIST, "tools": LIST, "variables": OBJECT, "add_generation_prompt": BOOL,
//    "continue_final_message": BOOL}                            a chat template and a conversation
// The clock of strftime_now stands at 2024-07-26 14:05:09.
#include <boost/json.hpp>
#include <ctime>
#include <iostream>
#include <string>

#include "base/error.h"
#include "text/chat_template.h"

namespace medlar {
namespace {

namespace json = boost::json;

std::tm fixed_time() {
  std::tm time{};
  time.tm_year = 124;
  time.tm_mon = 6;
  time.tm_mday = 26;
  time.tm_hour = 14;
  time.tm_min = 5;
  time.tm_sec = 9;
  time.tm_wday = 5;
  time.tm_yday = 207;
  return time;
}

template <class T>
T field(const json::object& job, std::string_view name, T otherwise) {
  const json::value* value = job.if_contains(name);
  return value == nullptr || value->is_null() ? otherwise : json::value_to<T>(*value);
}

std::string render(const json::object& job) {
  const auto source = field<std::string>(job, "template", "");
  if (const json::value* context = job.if_contains("context")) {
    return jinja::Template::parse(source).render(jinja::Value::from_json(*context),
                                                 {.limits = {}, .now = fixed_time()});
  }
  text::ChatRequest request{.messages = job.at("messages").as_array()};
  if (const json::value* tools = job.if_contains("tools"); tools != nullptr && tools->is_array()) {
    request.tools = tools->get_array();
  }
  if (const json::value* variables = job.if_contains("variables")) request.variables = variables->as_object();
  request.add_generation_prompt = field(job, "add_generation_prompt", false);
  request.continue_final_message = field(job, "continue_final_message", false);
  request.now = fixed_time();
  return text::ChatTemplate(source).render(request);
}

std::string_view name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::bad_file:
      return "bad_file";
    case ErrorKind::limit:
      return "limit";
    case ErrorKind::unsupported:
      return "unsupported";
    default:
      return "usage";
  }
}

json::object answer(const std::string& line) {
  json::parse_options options;
  options.max_depth = 1000;
  const json::value job = json::parse(line, {}, options);
  try {
    return {{"text", render(job.as_object())}};
  } catch (const Error& error) {
    return {{"error", name(error.kind())}, {"message", error.what()}};
  }
}

}  // namespace
}  // namespace medlar

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << boost::json::serialize(medlar::answer(line)) << std::endl;
  }
}
