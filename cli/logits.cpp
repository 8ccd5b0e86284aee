// medlar logits: what the model thinks may follow, after every position.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <memory>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "base/posix.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/npy.h"
#include "cli/tokens.h"

namespace medlar::cli {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// logits - logsumexp(logits), one row.
std::vector<float> log_softmax(std::span<const float> logits) {
  double top = -INFINITY, sum = 0;
  for (const float value : logits) top = std::max<double>(top, value);
  for (const float value : logits) sum += std::exp(value - top);
  const double shift = top + std::log(sum);
  std::vector<float> result;
  result.reserve(logits.size());
  for (const float value : logits) result.push_back(static_cast<float>(value - shift));
  return result;
}

struct LogitsCommand {
  std::string model, tokens, file, npy;
  int top = 0;
  EngineFlags engine;

  void run(const Console& console) const {
    if (top == 0 && npy.empty() && console.output.interactive)
      throw Error(ErrorKind::usage, "the array is no text for a terminal", "give --npy FILE or --top K");
    const store::ResolvedModel resolved = open_store().resolve(model);
    const auto loaded = Engine::load(resolved.path, engine.options());
    const std::vector<text::TokenId> input = read_tokens(loaded->tokenizer());
    if (top > 0) {
      print_best(*loaded, input, console);
    } else if (npy.empty() || npy == "-") {
      write_array(*loaded, input, [&](std::string_view bytes) { console.write(bytes); });
    } else {
      write_file(*loaded, input);
    }
  }

  std::vector<text::TokenId> read_tokens(const text::Tokenizer& tokenizer) const {
    std::vector<text::TokenId> input;
    if (!file.empty()) {
      input = tokenizer.encode(read_input(file));
    } else if (tokens.starts_with("@")) {
      input = parse_token_ids(read_input(tokens.substr(1)), tokens.substr(1));
    } else {
      input = parse_token_ids(tokens, "--tokens");
    }
    if (input.empty()) throw Error(ErrorKind::usage, "there are no tokens", "give --tokens or --file");
    for (const text::TokenId token : input) {
      if (token < 0 || token >= tokenizer.size())
        throw Error(ErrorKind::usage, fmt::format("there is no token {}", token),
                    fmt::format("ids go from 0 to {}", tokenizer.size() - 1));
    }
    return input;
  }

  template <class Write>
  void write_array(Engine& loaded, std::span<const text::TokenId> input, const Write& write) const {
    const auto vocab = static_cast<std::size_t>(loaded.description().vocab);
    write(npy_header(std::ssize(input), loaded.description().vocab));
    Session session = loaded.open_session();
    session.score(input, [&](std::int64_t, std::span<const float> logits) {
      for (; !logits.empty(); logits = logits.subspan(vocab)) {
        const std::vector<float> row = log_softmax(logits.first(vocab));
        write({reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float)});
      }
    });
  }

  void write_file(Engine& loaded, std::span<const text::TokenId> input) const {
    const std::unique_ptr<std::FILE, CloseFile> out(std::fopen(npy.c_str(), "wb"));
    if (!out) fail_errno(npy, "create", errno);
    write_array(loaded, input, [&](std::string_view bytes) {
      if (std::fwrite(bytes.data(), 1, bytes.size(), out.get()) != bytes.size())
        fail_errno(npy, "write", errno);
    });
    if (std::fflush(out.get()) != 0) fail_errno(npy, "write", errno);
  }

  void print_best(Engine& loaded, std::span<const text::TokenId> input, const Console& console) const {
    const auto vocab = static_cast<std::size_t>(loaded.description().vocab);
    boost::json::array positions;
    Session session = loaded.open_session();
    session.score(input, [&](std::int64_t, std::span<const float> logits) {
      for (; !logits.empty(); logits = logits.subspan(vocab)) {
        boost::json::array best;
        for (const auto& [token, logprob] : best_tokens(logits.first(vocab), top))
          best.push_back({{"token", token},
                          {"text", printable(loaded.tokenizer().piece(token, {.special = true}))},
                          {"logprob", logprob}});
        positions.push_back(std::move(best));
      }
    });
    console.write(to_line({{"tokens", boost::json::value_from(std::vector(input.begin(), input.end()))},
                           {"vocab", loaded.description().vocab},
                           {"top", std::move(positions)}}));
  }
};

}  // namespace

void add_logits(CLI::App& program, const Console& console) {
  auto options = std::make_shared<LogitsCommand>();
  CLI::App* command = add_command(
      program, "logits", "Print log-probabilities after every token, as a float32 array (tokens, vocab)",
      "medlar logits -m smollm2:135m --tokens 504,3575,282 --top 5");
  command->add_option("-m,--model", options->model, "Which model")->required()->type_name("MODEL");
  CLI::Option* tokens = command->add_option("--tokens", options->tokens,
                                            "Token ids between commas, or @FILE with ids or tokenize's JSON");
  tokens->type_name("IDS");
  CLI::Option* file = command->add_option("-f,--file", options->file, "A text to tokenize and read");
  file->type_name("FILE")->excludes(tokens);
  CLI::Option* npy =
      command->add_option("--npy", options->npy, "Write a .npy file; - or no --npy: to standard output");
  npy->type_name("OUT");
  command
      ->add_option("--top", options->top, "Instead, print the K most likely tokens of each position as JSON")
      ->type_name("K")
      ->check(CLI::PositiveNumber.description(""))
      ->excludes(npy);
  options->engine.add_to(*command);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
