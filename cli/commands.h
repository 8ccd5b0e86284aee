// The subcommands: each adds its options, and what it runs, to the definition of the program.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/console.h"

namespace medlar::cli {

// `console` must outlive `program`.
void add_run(CLI::App& program, const Console& console);
void add_chat(CLI::App& program, const Console& console);
void add_serve(CLI::App& program, const Console& console);
void add_ps(CLI::App& program, const Console& console);
void add_app(CLI::App& program, const Console& console);
void add_stop(CLI::App& program, const Console& console);
void add_batch(CLI::App& program, const Console& console);
void add_plan(CLI::App& program, const Console& console);
void add_pull(CLI::App& program, const Console& console);
void add_list(CLI::App& program, const Console& console);
void add_show(CLI::App& program, const Console& console);
void add_rm(CLI::App& program, const Console& console);
void add_doctor(CLI::App& program, const Console& console);
void add_verify(CLI::App& program, const Console& console);
void add_convert(CLI::App& program, const Console& console);
void add_tokenize(CLI::App& program, const Console& console);
void add_template(CLI::App& program, const Console& console);
void add_logits(CLI::App& program, const Console& console);
void add_perplexity(CLI::App& program, const Console& console);
void add_compare(CLI::App& program, const Console& console);
void add_quantize(CLI::App& program, const Console& console);
void add_imatrix(CLI::App& program, const Console& console);
void add_eval(CLI::App& program, const Console& console);
void add_bench(CLI::App& program, const Console& console);
void add_tune(CLI::App& program, const Console& console);
void add_analyze(CLI::App& program, const Console& console);
void add_synth(CLI::App& program, const Console& console);
void add_completion(CLI::App& program, const Console& console);
void add_man(CLI::App& program, const Console& console);

// A subcommand with its one-line description and the example its help ends with, kept as CLI11's footer.
CLI::App* add_command(CLI::App& program, const std::string& name, const std::string& description,
                      const std::string& example);

}  // namespace medlar::cli
