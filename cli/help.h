// The text of --help, from the program's definition.
#pragma once

#include <span>
#include <string>

#include "cli/definition.h"

namespace medlar::cli {

// Wrapped at `columns`, or at 100 where there is more room.
std::string program_help(std::span<const CommandDefinition> commands, int columns);
std::string command_help(const CommandDefinition& command, int columns);

}  // namespace medlar::cli
