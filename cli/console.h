// Where a command writes: results to standard output, messages and progress to standard error.
#pragma once

#include <string>
#include <string_view>

#include "cli/terminal.h"

namespace medlar::cli {

struct Console {
  Terminal input, output, messages;  // of the three standard descriptors

  static Console probe();

  // Standard output, at once. Throws Error(io, no_space) when it cannot be written.
  void write(std::string_view bytes) const;
  // As write(), but text that comes from a model or a file: made visible() on a terminal.
  void write_foreign(std::string_view text) const;
  // One line on standard error.
  void message(std::string_view line) const;
};

// The whole of a file, or of standard input for "-"; at most 1 GiB. Throws Error: not_found, io, limit.
std::string read_input(std::string_view path);

}  // namespace medlar::cli
