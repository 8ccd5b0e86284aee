// Answers of models: whatever the text and however it is cut, parsing ends, loses nothing, gives calls with
// valid arguments, and the same for every cut; what is read can be written and read again.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/reply/parser.h"
#include "text/reply/pattern.h"
#include "text/reply/render.h"
#include "text/unicode.h"

namespace medlar::fuzz {
namespace {

using namespace reply;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

const std::vector<Tool>& tools() {
  static const std::vector<Tool> kTools = {
      {"f",
       {{"type", "object"},
        {"properties", {{"a", {{"type", "string"}}}, {"b", {{"type", "number"}}}, {"c", {{"anyOf", {}}}}}}}},
      {"get_weather", nullptr}};
  return kTools;
}

constexpr Limits kLimits{.depth = 8, .calls = 4, .call_bytes = 4000, .name_bytes = 20};

Reply parse(const ReplyFormat& format, std::string_view text, std::size_t piece, bool special) {
  ReplyParser parser(format, {.tools = tools(), .limits = kLimits});
  Reply streamed;
  const auto take = [&](const std::vector<Delta>& deltas) {
    for (const Delta& delta : deltas) {
      if (delta.kind == Delta::Kind::content) streamed.content += delta.text;
      if (delta.kind == Delta::Kind::reasoning) streamed.reasoning += delta.text;
      if (delta.kind == Delta::Kind::call_begin) streamed.calls.push_back({{}, delta.name, {}, delta.index});
      if (delta.kind == Delta::Kind::call_arguments) streamed.calls.back().arguments += delta.text;
      if (delta.kind == Delta::Kind::call_malformed) streamed.calls.pop_back();
    }
  };
  for (std::size_t at = 0; at < text.size(); at += piece) take(parser.push(text.substr(at, piece), special));
  take(parser.finish());
  const Reply& reply = parser.reply();
  require(reply.text == text && streamed.content == reply.content && streamed.reasoning == reply.reasoning);
  require(streamed.calls.size() == reply.calls.size());
  for (std::size_t i = 0; i < reply.calls.size(); ++i) {
    require(streamed.calls[i].name == reply.calls[i].name);
    require(streamed.calls[i].arguments == reply.calls[i].arguments);
  }
  return reply;
}

void check_calls(const CallFormat& format, const Reply& reply) {
  require(reply.calls.size() <= kLimits.calls);
  for (const Call& call : reply.calls) {
    require(!call.name.empty());
    boost::json::parse_options options;
    options.max_depth = static_cast<std::size_t>(kLimits.depth) + 1;
    require(boost::json::parse(call.arguments, {}, options).is_object());
  }
  try {
    render(format, reply.calls);
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::unsupported || error.kind() == ErrorKind::usage);
  }
}

void run(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return;
  const std::span<const CallFormat> calls = call_formats();
  const std::span<const ReasoningFormat> reasoning = reasoning_formats();
  const ReplyFormat format{.calls = &calls[data[0] % calls.size()],
                           .reasoning = &reasoning[data[1] % reasoning.size()]};
  // A byte above 0xF7 stands for one of the format's own fixed texts.
  std::vector<std::string_view> texts = {format.reasoning->open};
  for (const CallLayout& layout : format.calls->layouts) {
    for (const std::string_view pattern :
         {layout.open, layout.call, layout.object, layout.close, layout.parameter}) {
      for (const Step& step : steps(pattern)) {
        if (step.hole == Hole::none) texts.push_back(step.text);
      }
    }
  }
  std::string text;
  for (std::size_t i = 3; i < size && text.size() < 8000; ++i) {
    if (data[i] > 0xF7 && i + 1 < size) {
      text += texts[data[++i] % texts.size()];
    } else {
      text += static_cast<char>(data[i]);
    }
  }
  if (text::valid_utf8_prefix(text) != text.size()) return;
  const Reply whole = parse(format, text, text.size() + 1, false);
  check_calls(*format.calls, whole);
  const Reply cut = parse(format, text, 1 + data[2] % 7, false);
  require(cut.content == whole.content && cut.reasoning == whole.reasoning && cut.calls == whole.calls);
  require(cut.malformed == whole.malformed && cut.truncated == whole.truncated);
  parse(format, text, 5, true);
}

}  // namespace
}  // namespace medlar::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  medlar::fuzz::run(data, size);
  return 0;
}
