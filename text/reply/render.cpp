// Fills the holes of the first layout, and refuses what would not be read again.
#include "text/reply/render.h"

#include <string_view>

#include "base/error.h"
#include "text/reply/call_reader.h"
#include "text/reply/json_text.h"
#include "text/reply/pattern.h"
#include "text/reply/value_reader.h"

namespace medlar::reply {
namespace {

constexpr int kDepth = Limits{}.depth;

[[noreturn]] void cannot_write(std::string_view what) {
  throw Error(ErrorKind::unsupported, fmt::format("a tool call's {} cannot be written in this format", what));
}

bool is_plain_key(std::string_view key) {
  for (const char c : key) {
    if (!is_name(c)) return false;
  }
  return !key.empty();
}

std::string_view plain_name(std::string_view name) {
  if (!is_plain_key(name)) cannot_write("name");
  return name;
}

std::string in_quote(std::string_view text, std::string_view quote) {
  // The last bytes of the text must not begin the quote that ends it.
  const std::string all = fmt::format("{}{}", text, quote);
  if (all.find(quote) != text.size()) cannot_write("value");
  return fmt::format("{}{}", quote, all);
}

// The literal that begins `json`: a string, or another token.
std::string_view next_token(std::string_view json) {
  if (json.front() != '"') {
    constexpr std::string_view kMarks = "{}[],: \n\t\r";
    return kMarks.find(json.front()) != std::string_view::npos ? json.substr(0, 1)
                                                               : json.substr(0, json.find_first_of(kMarks));
  }
  std::size_t end = 1;
  while (json[end] != '"') end += json[end] == '\\' ? 2 : 1;
  return json.substr(0, end + 1);
}

std::string written_members(const Call& call, const CallLayout& layout, Notation notation) {
  const bool keywords = notation == Notation::keywords;
  std::string out;
  for (const Member& member : members(call.arguments, kDepth)) {
    if (!out.empty()) out += keywords ? ", " : ",";
    if (keywords && !is_plain_key(member.key)) cannot_write("parameter");
    out += is_plain_key(member.key) ? member.key : in_quote(member.key, layout.quote);
    out += keywords ? "=" : ":";
    out += render_value(member.value, layout, notation);
  }
  return out;
}

// `text` where `end` is what ends it.
std::string_view ended_by(std::string_view text, std::string_view end, std::string_view what) {
  const std::string_view word = first_word(end);
  if (fmt::format("{}{}", text, word).find(word) != text.size()) cannot_write(what);
  return text;
}

std::string written_parameters(const Call& call, const CallLayout& layout) {
  std::string out;
  for (const Member& member : members(call.arguments, kDepth)) {
    const bool is_text = member.value.front() == '"';
    const std::string value = is_text ? unquoted(member.value) : std::string(member.value);
    for (const Step& step : steps(layout.parameter)) {
      if (step.hole == Hole::none) {
        out += step.text;
      } else if (step.hole == Hole::key) {
        if (trim(member.key) != member.key) cannot_write("parameter");
        out += ended_by(member.key, step.text, "parameter");
      } else if (step.hole == Hole::text) {
        out += is_text ? "true" : "false";
      } else {
        out += ended_by(value, step.text, "value");
      }
    }
  }
  return out;
}

std::string written_object(const Call& call, const CallLayout& layout, std::size_t number) {
  std::string out;
  for (const Step& step : steps(layout.object)) {
    if (step.hole == Hole::none) {
      out += step.text;
    } else if (step.hole == Hole::name) {
      append_escaped(out, call.name);
    } else if (step.hole == Hole::json) {
      out += trim(call.arguments);
    } else if (call.id.empty()) {
      out += fmt::format("{}", number);
    } else {
      append_escaped(out, call.id);
    }
  }
  return out;
}

std::string index_of(const Call& call, std::size_t number) {
  const std::string path = fmt::format("functions.{}:", call.name);
  return call.id.starts_with(path) ? call.id.substr(path.size()) : fmt::format("{}", number);
}

std::string written_hole(Hole hole, const Call& call, const CallLayout& layout, std::size_t number) {
  switch (hole) {
    case Hole::object:
      return written_object(call, layout, number);
    case Hole::name:
      return std::string(plain_name(call.name));
    case Hole::index:
      return index_of(call, number);
    case Hole::any:
      return "default";
    case Hole::json:
      return std::string(trim(call.arguments));
    case Hole::keywords:
      return written_members(call, layout, Notation::keywords);
    case Hole::pairs:
      return written_members(call, layout, Notation::pairs);
    case Hole::parameters:
      return written_parameters(call, layout);
    default:
      cannot_write("kind");
  }
}

}  // namespace

// Token by token.
std::string render_value(std::string_view json, const CallLayout& layout, Notation notation) {
  std::string out;
  while (!json.empty()) {
    const std::string_view token = next_token(json);
    json.remove_prefix(token.size());
    const bool key = trim(json).starts_with(':');
    if (token.front() == '"') {
      const std::string text = unquoted(token);
      if (notation == Notation::keywords) {
        out += quoted(text);
      } else {
        out += key && is_plain_key(text) ? text : in_quote(text, layout.quote);
      }
    } else if (notation == Notation::pairs) {
      if (!is_space(token.front())) out += token;
    } else {
      out += token == "true" ? "True" : token == "false" ? "False" : token == "null" ? "None" : token;
    }
  }
  return out;
}

std::string render(const CallFormat& format, std::span<const Call> calls) {
  if (calls.empty()) return {};
  const CallLayout& layout = format.layouts.front();
  std::string out(layout.open);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    members(calls[i].arguments, kDepth);  // they are an object
    if (i > 0) out += layout.between;
    for (const Step& step : steps(layout.call)) {
      out += step.hole == Hole::none ? std::string(step.text) : written_hole(step.hole, calls[i], layout, i);
    }
  }
  out += layout.close;
  return out;
}

}  // namespace medlar::reply
