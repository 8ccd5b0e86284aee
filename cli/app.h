// The program: its definition, its exit codes, and the one line that tells of a failure.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <span>

#include "base/error.h"
#include "cli/console.h"

namespace medlar::cli {

inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;
inline constexpr int kWrongUsage = 2;

// `console` must outlive the result.
std::unique_ptr<CLI::App> make_app(const Console& console);

// Runs the command that the arguments name (the program's own name excluded) and returns the exit code.
// Whatever goes wrong is reported on standard error in one line.
int run(std::span<const char* const> arguments, const Console& console);

// "what happened, to what. What to do."
std::string failure_line(const Error& error);

}  // namespace medlar::cli
