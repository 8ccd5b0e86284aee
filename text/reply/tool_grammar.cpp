// The first layout with each tool's name and rules in its holes, after the reasoning that may precede it.
#include "text/reply/tool_grammar.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "text/reply/argument_grammar.h"
#include "text/reply/gbnf.h"
#include "text/reply/json_text.h"
#include "text/reply/pattern.h"
#include "text/reply/schema_types.h"

namespace medlar::reply {
namespace {

constexpr std::string_view kDigits = "[0-9]{1,3}";

class Builder {
 public:
  Builder(const ToolGrammarRequest& request, std::vector<const Tool*> tools)
      : request_(request),
        layout_(request.format.calls->layouts.front()),
        tools_(std::move(tools)),
        arguments_(layout_, gbnf_, grammar_.holes) {}

  ToolGrammar build() {
    const bool automatic = request_.choice.kind == ToolChoice::Kind::automatic;
    if (automatic && !request_.content) {
      add_triggers();
      gbnf_.rule("root", "calls");
    } else {
      gbnf_.rule("root", after_reasoning());
      gbnf_.rule("answer", answer(automatic));
    }
    if (!tools_.empty()) add_calls();
    grammar_.gbnf = gbnf_.text();
    return std::move(grammar_);
  }

 private:
  // Content, calls, or either.
  std::string answer(bool automatic) {
    if (!request_.content || (!automatic && !tools_.empty())) return "calls";
    std::vector<std::string> marks;
    for (const std::string_view mark : request_.format.reasoning->dropped)
      marks.push_back(gbnf_literal(mark));
    const std::string around = marks.empty() ? "" : fmt::format("({})*", fmt::join(marks, " | "));
    const std::string content =
        gbnf_sequence(gbnf_sequence(around, ToolGrammar::kContent), marks.empty() ? "" : around);
    return tools_.empty() ? content : gbnf_choice({"calls", content});
  }

  void add_calls() {
    gbnf_.rule("calls", calls());
    std::vector<std::string> names;
    for (std::size_t i = 0; i < tools_.size(); ++i) {
      names.push_back(fmt::format("call-{}", i));
      gbnf_.rule(names.back(), call(i));
    }
    gbnf_.rule("call", gbnf_choice(names));
  }

  std::string_view marker_text() const {
    return layout_.open.empty() ? steps(layout_.call)[0].text : layout_.open;
  }

  // Where nothing marks a call, or what does marks other things too, it is told by the tool's name.
  void add_triggers() {
    const std::vector<Step> call = steps(layout_.call);
    const std::string_view text = marker(marker_text());
    const auto& dropped = request_.format.reasoning->dropped;
    const bool shared = std::any_of(dropped.begin(), dropped.end(),
                                    [&](std::string_view mark) { return mark.starts_with(text); });
    grammar_.trigger_at_start = layout_.at_start;
    if (!layout_.at_start && !shared) {
      grammar_.triggers.emplace_back(text);
      return;
    }
    const std::vector<Step> object = steps(layout_.object);
    const std::vector<Step>& named = call[0].hole == Hole::object ? object : call;
    for (const Tool* tool : tools_) {
      std::string trigger(layout_.open);
      for (const Step& step : named) {
        trigger += step.hole == Hole::none ? std::string(step.text) : tool->name;
        if (step.hole == Hole::name) {
          trigger += step.text.substr(0, 1);
          break;
        }
      }
      grammar_.triggers.push_back(std::move(trigger));
    }
  }

  // The reasoning that may come first, or has been opened by the prompt.
  std::string after_reasoning() {
    const ReasoningFormat& format = *request_.format.reasoning;
    const bool opened = !format.open.empty() && request_.opened == format.open;
    if (format.open.empty() || (!request_.reasoning && !opened)) return "answer";
    const std::string open = opened ? std::string() : gbnf_literal(format.open);
    const std::string rest =
        gbnf_sequence(gbnf_.text_without(format.close[0]), gbnf_literal(format.close[0]));
    gbnf_.rule("reasoning", gbnf_sequence(gbnf_sequence(open, rest),
                                          fmt::format("[ \\n]* {}", gbnf_literal(format.prompt_end))));
    return opened ? "reasoning answer" : "reasoning? answer";
  }

  std::string calls() {
    std::string_view open = layout_.open;
    const bool several = request_.choice.parallel && request_.format.calls->parallel &&
                         request_.choice.kind != ToolChoice::Kind::named;
    std::string all = gbnf_sequence(gbnf_literal(open), "call");
    // The prompt has begun the first call: what it wrote is not written again.
    const std::string_view begun = request_.format.calls->prompt_end;
    if (!begun.empty() && request_.opened == begun && request_.choice.kind != ToolChoice::Kind::automatic) {
      all = "first-call";
      std::vector<std::string> firsts;
      for (std::size_t i = 0; i < tools_.size(); ++i) firsts.push_back(call(i, begun.size()));
      gbnf_.rule("first-call", gbnf_choice(firsts));
    }
    if (several) all += fmt::format(" ({})*", gbnf_sequence(gbnf_literal(layout_.between), "call"));
    return gbnf_sequence(all, gbnf_literal(layout_.close));
  }

  // An expression, and fixed text that belongs to its end. The first bytes of the text may be left out.
  struct Written {
    std::string expression{}, text{};
    std::size_t skipped = 0;

    void put(std::string_view next) {
      const std::string literal = gbnf_literal(std::string_view(text).substr(std::exchange(skipped, 0)));
      expression = gbnf_sequence(gbnf_sequence(expression, literal), next);
      text.clear();
    }
  };

  // One call of a tool.
  std::string call(std::size_t number, std::size_t skipped = 0) {
    Written written{.skipped = skipped};
    put_steps(layout_.call, number, written);
    written.put({});
    return written.expression;
  }

  void put_steps(std::string_view pattern, std::size_t number, Written& written) {
    const Tool& tool = *tools_[number];
    const bool in_object = pattern == layout_.object;
    for (const Step& step : steps(pattern)) {
      if (step.hole == Hole::none) {
        written.text += step.text;
      } else if (step.hole == Hole::name && in_object) {
        append_escaped(written.text, tool.name);
      } else if (step.hole == Hole::name) {
        written.text += plain(tool.name);
      } else if (step.hole == Hole::any) {
        written.text += "default";
      } else if (step.hole == Hole::index || step.hole == Hole::id) {
        written.put(kDigits);
      } else if (step.hole == Hole::object) {
        put_steps(layout_.object, number, written);
      } else {
        written.put(arguments_.expression(step.hole, tool, number));
      }
    }
  }

  static std::string_view plain(std::string_view name) {
    if (!std::all_of(name.begin(), name.end(), is_name) || name.empty()) {
      throw Error(ErrorKind::unsupported,
                  fmt::format("the name {} cannot be written in this format", quoted(name)));
    }
    return name;
  }

  const ToolGrammarRequest& request_;
  const CallLayout& layout_;
  std::vector<const Tool*> tools_;
  Gbnf gbnf_;
  ToolGrammar grammar_;
  ArgumentGrammar arguments_;
};

}  // namespace

std::optional<ToolGrammar> tool_grammar(const ToolGrammarRequest& request) {
  const ToolChoice& choice = request.choice;
  const bool none = choice.kind == ToolChoice::Kind::none;
  std::vector<const Tool*> tools;
  for (const Tool& tool : request.tools) {
    if (!none && (choice.kind != ToolChoice::Kind::named || tool.name == choice.name)) tools.push_back(&tool);
  }
  const bool optional = none || choice.kind == ToolChoice::Kind::automatic;
  if (tools.empty() && optional && !request.content) return std::nullopt;
  if (tools.empty() && !optional) {
    throw Error(ErrorKind::usage, fmt::format("tool_choice: there is no tool {}", quoted(choice.name)),
                "name one of the request's tools");
  }
  return Builder(request, std::move(tools)).build();
}

}  // namespace medlar::reply
