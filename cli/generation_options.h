// The options of commands that write text: limits, sampling, stop strings.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "text/grammar/rules.h"

namespace medlar::cli {

struct GenerationFlags {
  std::int64_t max_tokens = -1;
  SamplerOptions sampler;
  std::vector<std::string> stop;
  std::string grammar_file, schema_file;

  // The result points to this, which must outlive the command.
  void add_to(CLI::App& command);
  // Throws Error(usage) naming the option.
  GenerateOptions options() const;

  // The options --grammar and --json-schema; rules() reads what they name, nothing without them. Throws as
  // reading a file and the parsers do.
  void add_grammar_to(CLI::App& command);
  std::optional<grammar::Rules> rules() const;

 private:
  CLI::Option* seed_ = nullptr;
};

}  // namespace medlar::cli
