#include "cli/help.h"

#include <algorithm>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/terminal.h"

namespace medlar::cli {
namespace {

constexpr int kWidest = 100;
constexpr int kNarrowest = 60;  // with less room, a description stands below what it describes

// Words joined into lines of at most `columns`, each line indented by `indent`.
std::string wrapped(std::string_view text, int indent, int columns) {
  std::istringstream words{std::string(text)};
  std::string result, line;
  const auto end_line = [&] { result += std::string(static_cast<std::size_t>(indent), ' ') + line + "\n"; };
  for (std::string word; words >> word;) {
    if (!line.empty() && indent + display_width(line) + 1 + display_width(word) > columns) {
      end_line();
      line.clear();
    }
    line += line.empty() ? word : " " + word;
  }
  end_line();
  return result;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

// A title, and below it what each row names beside its description.
std::string section(std::string_view title, const Rows& rows, int columns) {
  if (rows.empty()) return "";
  int left = 0;
  for (const auto& [name, description] : rows) left = std::max(left, display_width(name));
  left = std::min(left, columns / 3) + 4;
  std::string text = fmt::format("\n{}:\n", title);
  for (const auto& [name, description] : rows) {
    const bool beside = columns >= kNarrowest && display_width(name) + 4 <= left;
    const std::string block = wrapped(description, columns >= kNarrowest ? left : 6, columns);
    text += beside ? fmt::format("  {:<{}}", name, left - 2) + block.substr(static_cast<std::size_t>(left))
                   : fmt::format("  {}\n{}", name, block);
  }
  return text;
}

std::string with_default(const OptionDefinition& option) {
  return option.fallback.empty() ? option.description
                                 : fmt::format("{} (default: {})", option.description, option.fallback);
}

}  // namespace

std::string program_help(std::span<const CommandDefinition> commands, int columns) {
  columns = std::min(columns, kWidest);
  Rows rows;
  for (const CommandDefinition& command : commands) rows.emplace_back(command.name, command.description);
  return wrapped("Runs language models on this machine.", 0, columns) +
         "\nUsage: medlar COMMAND [OPTIONS]\n" + section("Commands", rows, columns) +
         section("Options", {{"-h, --help", "Show this help"}, {"--version", "Show the version"}}, columns) +
         "\n" +
         wrapped(std::string(kWhatAModelIs) + " \"medlar COMMAND --help\" shows the options of a command.", 0,
                 columns) +
         "\nExample:\n  medlar run smollm2:135m \"Why is the sky blue?\"\n";
}

std::string command_help(const CommandDefinition& command, int columns) {
  columns = std::min(columns, kWidest);
  std::vector<std::pair<std::string, Rows>> groups = {{"Arguments", {}}};
  for (const OptionDefinition& option : command.options) {
    const std::string title = option.positional.empty() ? option.group : "Arguments";
    auto group = std::ranges::find(groups, title, &std::pair<std::string, Rows>::first);
    if (group == groups.end()) group = groups.insert(group, {title, {}});
    group->second.emplace_back(option.spelling(), with_default(option));
  }
  std::string text = wrapped(command.description + ".", 0, columns) + "\nUsage: " + command.synopsis() + "\n";
  for (const auto& [title, rows] : groups) text += section(title, rows, columns);
  return text + "\nExample:\n  " + command.example + "\n";
}

}  // namespace medlar::cli
