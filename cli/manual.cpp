// medlar man: the manual, as a man page or as the reference of docs/cli.md.
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/definition.h"

namespace medlar::cli {
namespace {

// Text for roff: dashes that stay dashes, and no line that starts with a control character.
std::string roff(std::string_view text) {
  std::string result;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) result += "\\&";
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
    line_start = c == '\n';
  }
  return result;
}

std::string man_page(const std::vector<CommandDefinition>& commands) {
  std::string page = ".TH MEDLAR 1 \"\" \"medlar " MEDLAR_VERSION
                     "\" \"User commands\"\n"
                     ".SH NAME\nmedlar \\- runs language models on this machine\n"
                     ".SH SYNOPSIS\n.B medlar\n.I COMMAND\n[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n"
                     ".SH DESCRIPTION\n" +
                     roff(kWhatAModelIs) +
                     "\nResults go to standard output, messages and progress to standard error.\n"
                     ".SH COMMANDS\n";
  for (const CommandDefinition& command : commands) {
    page += fmt::format(".SS {}\n{}.\n.PP\n.EX\n{}\n.EE\n", roff(command.synopsis()),
                        roff(command.description), roff(command.example));
    for (const OptionDefinition& option : command.options)
      page += fmt::format(".TP\n.B {}\n{}.\n", roff(option.spelling()), roff(option.description));
  }
  page +=
      ".SH EXIT STATUS\n.TP\n.B 0\nSuccess.\n.TP\n.B 2\nWrong usage.\n.TP\n.B 1\nEverything else; one line "
      "on "
      "standard error says what happened, to what, and what to do.\n"
      ".SH ENVIRONMENT\n.TP\n.B MEDLAR_HOME\nWhere models are kept.\n.TP\n.B MEDLAR_CPU\n"
      "Forces kernels for an instruction set: scalar, avx2, avx512 or neon.\n.TP\n.B HF_TOKEN, HF_ENDPOINT\n"
      "Access to Hugging Face, and a mirror of it.\n.TP\n.B MEDLAR_PYTHON\nThe Python whose pip fetches "
      "packages.\n"
      ".TP\n.B NO_COLOR\nNo colours, whatever its value.\n";
  return page;
}

// A table cell: a bar would end it.
std::string cell(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '|') result += '\\';
    result += c;
  }
  return result;
}

std::string markdown(const std::vector<CommandDefinition>& commands) {
  std::string page;
  for (const CommandDefinition& command : commands) {
    page += fmt::format("### medlar {}\n\n{}.\n\n```sh\n{}\n```\n\n`{}`\n\n| option | meaning |\n|---|---|\n",
                        command.name, command.description, command.example, command.synopsis());
    for (const OptionDefinition& option : command.options)
      page += fmt::format("| `{}` | {} |\n", cell(option.spelling()), cell(option.description));
    page += "\n";
  }
  page.pop_back();
  return page;
}

}  // namespace

void add_man(CLI::App& program, const Console& console) {
  auto format = std::make_shared<std::string>("roff");
  CLI::App* command = add_command(program, "man", "Print the manual", "medlar man | man -l -");
  command->add_option("--format", *format, "A man page, or the reference of docs/cli.md")
      ->type_name("roff|markdown");
  command->callback([format, &program, &console] {
    const auto commands = commands_of(program);
    if (*format != "roff" && *format != "markdown")
      throw Error(ErrorKind::usage, fmt::format("no manual in the format \"{}\"", *format),
                  "choose roff or markdown");
    console.write(*format == "roff" ? man_page(commands) : markdown(commands));
  });
}

}  // namespace medlar::cli
