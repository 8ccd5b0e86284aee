#include "cli/generation_options.h"

#include <limits>

#include "base/error.h"
#include "cli/console.h"
#include "text/grammar/grammar.h"

namespace medlar::cli {

void GenerationFlags::add_to(CLI::App& command) {
  const std::string group = "Sampling";
  command.add_option("-n,--max-tokens", max_tokens, "Tokens to write at most; -1: until the context is full")
      ->type_name("N")
      ->group(group)
      ->capture_default_str();
  command.add_option("--temp", sampler.temperature, "Temperature; 0: always the most likely token")
      ->type_name("X")
      ->group(group)
      ->capture_default_str();
  command.add_option("--top-k", sampler.top_k, "Choose among the K most likely tokens; 0: all")
      ->type_name("K")
      ->group(group)
      ->capture_default_str();
  command
      .add_option("--top-p", sampler.top_p,
                  "Choose among the most likely tokens that make up this probability")
      ->type_name("P")
      ->group(group)
      ->capture_default_str();
  command.add_option("--min-p", sampler.min_p, "Drop tokens less likely than P times the most likely one")
      ->type_name("P")
      ->group(group)
      ->capture_default_str();
  command
      .add_option("--repeat-penalty", sampler.repeat_penalty, "Make what was just said less likely; 1: off")
      ->type_name("X")
      ->group(group)
      ->capture_default_str();
  seed_ = command
              .add_option("--seed", sampler.seed,
                          "The same seed and prompt give the same text; -1 or none: a new one")
              ->type_name("N")
              ->group(group);
  command.add_option("--stop", stop, "End the answer before this text (may be given several times)")
      ->type_name("TEXT")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
}

GenerateOptions GenerationFlags::options() const {
  if (max_tokens < -1)
    throw Error(ErrorKind::usage, "--max-tokens: less than -1",
                "give a number of tokens, or -1 for no limit");
  GenerateOptions result{.max_tokens = max_tokens, .sampler = sampler, .stop = stop};
  // What -1 reads as.
  constexpr std::uint64_t kNoSeed = std::numeric_limits<std::uint64_t>::max();
  result.sampler.random_seed = seed_->count() == 0 || sampler.seed == kNoSeed;
  return result;
}

void GenerationFlags::add_grammar_to(CLI::App& command) {
  const std::string group = "Sampling";
  CLI::Option* schema =
      command.add_option("--json-schema", schema_file, "The answer is JSON that this JSON Schema allows")
          ->type_name("FILE")
          ->group(group);
  command.add_option("--grammar", grammar_file, "The answer is a text of this grammar (GBNF)")
      ->type_name("FILE")
      ->group(group)
      ->excludes(schema);
}

std::optional<grammar::Rules> GenerationFlags::rules() const {
  const std::string& file = schema_file.empty() ? grammar_file : schema_file;
  if (file.empty()) return std::nullopt;
  const std::string text = read_input(file);
  try {
    return schema_file.empty() ? grammar::parse_gbnf(text) : grammar::parse_json_schema(text);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", file, error.what()), error.hint());
  }
}

}  // namespace medlar::cli
