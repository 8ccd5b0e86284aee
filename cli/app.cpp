#include "cli/app.h"

#include <algorithm>
#include <cctype>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/definition.h"
#include "cli/help.h"
#include "store/catalogue.h"

namespace medlar::cli {
namespace {

constexpr const char* kVersion = "medlar " MEDLAR_VERSION;
constexpr std::size_t kLongestMessage = 2000;

// Names of more than one letter behind a single dash, which people's fingers know.
constexpr std::pair<std::string_view, std::string_view> kFamiliarNames[] = {
    {"-ctk", "--kv-k"}, {"-ctv", "--kv-v"}, {"-ngl", "--gpu-layers"}, {"-pg", "--n-prompt-gen"}};

std::string familiar(std::string_view argument) {
  for (const auto& [known, name] : kFamiliarNames) {
    if (argument == known) return std::string(name);
  }
  return std::string(argument);
}

// The innermost command that was being parsed.
const CLI::App* innermost(const CLI::App& app) {
  const CLI::App* current = &app;
  while (!current->get_subcommands().empty()) current = current->get_subcommands().front();
  return current;
}

std::string command_line(const CLI::App& app) {
  const CLI::App* inner = innermost(app);
  return inner == &app ? "medlar" : "medlar " + inner->get_name();
}

std::string help(const CLI::App& app, const Console& console) {
  const std::vector<CommandDefinition> commands = commands_of(app);
  const CLI::App* inner = innermost(app);
  const auto command = std::ranges::find(commands, inner->get_name(), &CommandDefinition::name);
  return command == commands.end() ? program_help(commands, console.output.columns)
                                   : command_help(*command, console.output.columns);
}

// A first argument that is neither an option nor a command.
void check_command(const CLI::App& app, const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0].starts_with("-")) return;
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  if (std::ranges::find(names, arguments[0]) != names.end()) return;
  const std::vector<std::string> near = store::nearest_names(arguments[0], names);
  throw Error(ErrorKind::usage, fmt::format("there is no command \"{}\"", arguments[0]),
              near.empty() ? "see \"medlar --help\"" : fmt::format("did you mean \"{}\"?", near[0]));
}

// A word that the command has no use for: an option that does not exist, or one argument too many.
Error unexpected(const CLI::App& app) {
  const CLI::App* command = innermost(app);
  const std::string see = fmt::format("see \"{} --help\"", command_line(app));
  const std::vector<std::string> words = command->remaining();
  const auto option = std::ranges::find_if(words, [](const std::string& w) { return w.starts_with("-"); });
  if (option == words.end())
    return Error(ErrorKind::usage, fmt::format("\"{}\" is one argument too many", words.at(0)), see);
  std::vector<std::string> names;
  for (const CLI::Option* known : command->get_options()) {
    for (const std::string& name : known->get_lnames()) names.push_back("--" + name);
  }
  const std::string name = option->substr(0, option->find('='));
  const std::vector<std::string> near = store::nearest_names(name, names);
  return Error(ErrorKind::usage, fmt::format("there is no option {}", name),
               near.empty() ? see : fmt::format("did you mean {}?", near[0]));
}

int report(const Console& console, const Error& error) {
  console.message(styled(console.messages, Style::red, "medlar:") + " " + failure_line(error));
  return error.kind() == ErrorKind::usage ? kWrongUsage : kFailure;
}

int parse_and_run(CLI::App& app, const std::vector<std::string>& arguments, const Console& console) {
  try {
    check_command(app, arguments);
    if (arguments.empty()) {
      console.write(help(app, console));
      return kSuccess;
    }
    // CLI11 takes the arguments last one first.
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
    return kSuccess;
  } catch (const CLI::CallForHelp&) {
    console.write(help(app, console));
    return kSuccess;
  } catch (const CLI::CallForVersion&) {
    console.write(std::string(kVersion) + "\n");
    return kSuccess;
  } catch (const CLI::ExtrasError&) {
    throw unexpected(app);
  } catch (const CLI::ParseError& e) {
    throw Error(ErrorKind::usage, e.what(), fmt::format("see \"{} --help\"", command_line(app)));
  }
}

}  // namespace

CLI::App* add_command(CLI::App& program, const std::string& name, const std::string& description,
                      const std::string& example) {
  CLI::App* command = program.add_subcommand(name, description);
  command->footer(example);
  command->set_help_flag("-h,--help", "Show this help");
  return command;
}

std::unique_ptr<CLI::App> make_app(const Console& console) {
  auto app = std::make_unique<CLI::App>("", "medlar");
  app->set_help_flag("-h,--help", "Show this help");
  app->set_version_flag("--version", kVersion, "Show the version");
  app->require_subcommand(0, 1);
  for (const auto add : {add_run,        add_chat,    add_serve,   add_ps,         add_app,      add_stop,
                         add_batch,      add_plan,    add_pull,    add_list,       add_show,     add_rm,
                         add_verify,     add_doctor,  add_convert, add_tokenize,   add_template, add_logits,
                         add_perplexity, add_compare, add_eval,    add_quantize,   add_imatrix,  add_bench,
                         add_tune,       add_analyze, add_synth,   add_completion, add_man})
    add(*app, console);
  return app;
}

std::string failure_line(const Error& error) {
  std::string message = error.what();
  while (message.ends_with('.') || message.ends_with('\n')) message.pop_back();
  std::string hint = error.hint();
  if (hint.empty()) return printable(message, kLongestMessage);
  if (!hint.starts_with("medlar"))
    hint[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(hint[0])));
  return printable(message + ". " + hint, kLongestMessage);
}

int run(std::span<const char* const> arguments, const Console& console) {
  try {
    std::vector<std::string> words;
    for (const char* argument : arguments) words.push_back(familiar(argument));
    const std::unique_ptr<CLI::App> app = make_app(console);
    return parse_and_run(*app, words, console);
  } catch (const Error& e) {
    return report(console, e);
  } catch (const std::bad_alloc&) {
    return report(console, Error(ErrorKind::out_of_memory, "there is not enough memory",
                                 "close other programs, or give a smaller --ctx"));
  } catch (const std::exception& e) {
    return report(console, Error(ErrorKind::io, e.what(), "this is a bug; please report it"));
  }
}

}  // namespace medlar::cli
