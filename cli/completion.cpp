// medlar completion: scripts that complete commands, options, choices, files and model names in three shells.
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/definition.h"

namespace medlar::cli {
namespace {

using Commands = std::vector<CommandDefinition>;

// In single quotes for bash and zsh, where a quote inside ends them for a moment.
std::string shell_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      result += c;
    }
  }
  return result + "'";
}

std::string replace_each(std::string text, std::string_view characters, std::string_view prefix) {
  std::string result;
  for (const char c : text) {
    if (characters.find(c) != std::string_view::npos) result += prefix;
    result += c;
  }
  return result;
}

// Every way to write an option, dashes included.
std::vector<std::string> spellings(const OptionDefinition& option) {
  std::vector<std::string> result;
  for (const std::string& name : option.short_names) result.push_back("-" + name);
  for (const std::string& name : option.long_names) result.push_back("--" + name);
  return result;
}

// The bash words that complete an argument.
std::string bash_argument(const OptionDefinition& option) {
  if (const auto choices = option.choices(); !choices.empty())
    return fmt::format("compgen -W '{}' -- \"$word\"", fmt::join(choices, " "));
  if (option.argument == "MODEL") return "compgen -W \"$(medlar list --quiet 2>/dev/null)\" -f -- \"$word\"";
  if (option.argument == "FILE" || option.argument == "OUT") return "compgen -f -- \"$word\"";
  return "true";
}

std::string bash_script(const Commands& commands) {
  std::vector<std::string> names;
  std::string arguments, options, positionals;
  for (const CommandDefinition& command : commands) {
    names.push_back(command.name);
    std::vector<std::string> words;
    for (const OptionDefinition& option : command.options) {
      for (const std::string& word : spellings(option)) {
        words.push_back(word);
        if (!option.argument.empty())
          arguments += fmt::format("    {}:{}) reply=$({}) ;;\n", command.name, word, bash_argument(option));
      }
      if (!option.positional.empty() && option.argument != "TEXT")
        positionals += fmt::format("    {}) reply=$({}) ;;\n", command.name, bash_argument(option));
    }
    options += fmt::format("    {}) options='{}' ;;\n", command.name, fmt::join(words, " "));
  }
  return fmt::format(R"sh(# Completion of medlar for bash: source <(medlar completion bash)
_medlar() {{
  local line=${{COMP_LINE:0:COMP_POINT}} reply= options= command=
  # Words as typed: a colon does not end one.
  local word=${{line##*[[:space:]]}} words
  read -r -a words <<<"$line"
  local count=${{#words[@]}}
  [[ -n $word ]] && count=$((count - 1))
  local previous=${{words[count - 1]}}
  [[ $count -gt 1 ]] && command=${{words[1]}}
  case $command in
{1}  esac
  case $command:$previous in
{2}    *)
      if [[ -z $command ]]; then
        reply=$(compgen -W '{0} --help --version' -- "$word")
      elif [[ $word == -* ]]; then
        reply=$(compgen -W "$options" -- "$word")
      else
        case $command in
{3}        esac
      fi
      ;;
  esac
  # Bash replaces only what follows the last colon.
  local keep=${{word%"${{word##*:}}"}} item
  COMPREPLY=()
  [[ -z $reply ]] && return
  while IFS= read -r item; do COMPREPLY+=("${{item#"$keep"}}"); done <<<"$reply"
}}
complete -o filenames -F _medlar medlar
)sh",
                     fmt::join(names, " "), options, arguments, positionals);
}

// What zsh's _arguments does with an argument.
std::string zsh_action(const OptionDefinition& option) {
  if (const auto choices = option.choices(); !choices.empty())
    return fmt::format("({})", fmt::join(choices, " "));
  if (option.argument == "MODEL") return "_medlar_models";
  if (option.argument == "FILE" || option.argument == "OUT") return "_files";
  return " ";
}

std::string zsh_option(const OptionDefinition& option) {
  const std::string message = option.choices().empty() ? option.argument : "choice";
  const std::string action =
      option.argument.empty() ? ""
                              : fmt::format(":{}:{}", replace_each(message, ":", "\\"), zsh_action(option));
  const auto names = spellings(option);
  if (names.empty())
    return "      " +
           shell_quoted(fmt::format("{}{}", option.repeatable ? "*" : "", action.empty() ? ": :" : action)) +
           " \\\n";
  const std::string description = fmt::format("[{}]", replace_each(option.description, "[]:\\", "\\"));
  std::string lines;
  for (const std::string& name : names)
    lines += "      " +
             shell_quoted(fmt::format("{}{}{}{}", option.repeatable ? "*" : "", name, description, action)) +
             " \\\n";
  return lines;
}

std::string zsh_script(const Commands& commands) {
  std::string list, cases;
  for (const CommandDefinition& command : commands) {
    list += "    " + shell_quoted(fmt::format("{}:{}", command.name, command.description)) + "\n";
    cases += fmt::format("    {}) _arguments -s \\\n", command.name);
    for (const OptionDefinition& option : command.options) cases += zsh_option(option);
    cases += "      && return 0 ;;\n";
  }
  return fmt::format(R"sh(#compdef medlar
# Completion of medlar for zsh: source <(medlar completion zsh), or save it as _medlar in a folder of $fpath.
_medlar_models() {{
  local -a models
  models=(${{(f)"$(medlar list --quiet 2>/dev/null)"}})
  compadd -a models
  _files
}}
_medlar() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
{}  esac
}}
if [[ $funcstack[1] == _medlar ]]; then _medlar "$@"; else compdef _medlar medlar; fi
)sh",
                     list, cases);
}

std::string fish_option(const std::string& command, const OptionDefinition& option) {
  // In fish's single quotes only these two characters are escaped.
  const auto quote = [](std::string text) { return "'" + replace_each(std::move(text), "\\'", "\\") + "'"; };
  std::string line = fmt::format("complete -c medlar -n '__fish_seen_subcommand_from {}'", command);
  for (const std::string& name : option.short_names) line += " -s " + name;
  for (const std::string& name : option.long_names) line += " -l " + name;
  const bool files = option.argument == "FILE" || option.argument == "OUT" || option.argument == "MODEL";
  if (!option.argument.empty() && option.positional.empty()) line += files ? " -r" : " -x";
  if (files) line += " -F";
  if (const auto choices = option.choices(); !choices.empty())
    line += fmt::format(" -a '{}'", fmt::join(choices, " "));
  if (option.argument == "MODEL") line += " -a '(medlar list --quiet 2>/dev/null)'";
  return line + " -d " + quote(option.description) + "\n";
}

std::string fish_script(const Commands& commands) {
  std::string script =
      "# Completion of medlar for fish: medlar completion fish | source\ncomplete -c medlar -f\n";
  for (const CommandDefinition& command : commands) {
    script += fmt::format("complete -c medlar -n __fish_use_subcommand -a {} -d '{}'\n", command.name,
                          replace_each(command.description, "\\'", "\\"));
    for (const OptionDefinition& option : command.options) {
      if (option.positional.empty() || option.argument != "TEXT") script += fish_option(command.name, option);
    }
  }
  return script;
}

std::string script_for(std::string_view shell, const Commands& commands) {
  if (shell == "bash") return bash_script(commands);
  if (shell == "zsh") return zsh_script(commands);
  if (shell == "fish") return fish_script(commands);
  throw Error(ErrorKind::usage, fmt::format("no completion for the shell \"{}\"", shell),
              "choose bash, zsh or fish");
}

}  // namespace

void add_completion(CLI::App& program, const Console& console) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = add_command(program, "completion", "Print a script that completes commands in a shell",
                                  "source <(medlar completion bash)");
  command->add_option("shell", *shell, "Which shell")->required()->type_name("bash|zsh|fish");
  command->callback([shell, &program, &console] { console.write(script_for(*shell, commands_of(program))); });
}

}  // namespace medlar::cli
