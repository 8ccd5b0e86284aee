#include "cli/definition.h"

#include <sstream>

#include <fmt/format.h>

namespace medlar::cli {
namespace {

OptionDefinition describe(const CLI::Option& option) {
  OptionDefinition result{.short_names = option.get_snames(),
                          .long_names = option.get_lnames(),
                          .description = option.get_description(),
                          .group = option.get_group(),
                          .fallback = option.get_default_str(),
                          .required = option.get_required(),
                          .repeatable = option.get_items_expected_max() > 1};
  if (option.get_items_expected_max() > 0) result.argument = option.get_type_name();
  if (option.get_positional()) result.positional = option.get_name(true);
  return result;
}

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

}  // namespace

std::vector<std::string> OptionDefinition::choices() const {
  std::vector<std::string> result;
  if (argument.find('|') == std::string::npos) return result;
  std::istringstream words(argument);
  for (std::string word; std::getline(words, word, '|');) result.push_back(word);
  return result;
}

std::string OptionDefinition::spelling() const {
  if (!positional.empty()) return upper(positional);
  std::string text;
  for (const std::string& name : short_names) text += fmt::format("{}-{}", text.empty() ? "" : ", ", name);
  for (const std::string& name : long_names) text += fmt::format("{}--{}", text.empty() ? "" : ", ", name);
  return argument.empty() ? text : text + " " + argument;
}

std::string CommandDefinition::synopsis() const {
  std::string text = "medlar " + name + " [OPTIONS]";
  for (const OptionDefinition& option : options) {
    if (option.positional.empty()) continue;
    const std::string word = option.spelling() + (option.repeatable ? "..." : "");
    text += option.required ? " " + word : " [" + word + "]";
  }
  return text;
}

std::vector<CommandDefinition> commands_of(const CLI::App& program) {
  std::vector<CommandDefinition> commands;
  for (const CLI::App* app : program.get_subcommands([](const CLI::App*) { return true; })) {
    CommandDefinition command{
        .name = app->get_name(), .description = app->get_description(), .example = app->get_footer()};
    for (const CLI::Option* option : app->get_options()) command.options.push_back(describe(*option));
    commands.push_back(std::move(command));
  }
  return commands;
}

}  // namespace medlar::cli
