// medlar tokenize: text to token ids, and back.
#include <memory>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/tokens.h"

namespace medlar::cli {
namespace {

// The line that parts the cases of a test file, with the newlines around it.
constexpr std::string_view kCaseSeparator = "\n__ggml_vocab_test__\n";

struct TokenizeCommand {
  std::string model, file = "-", cases;
  bool no_special = false, parse_special = false, detokenize = false;

  void run(const Console& console) const {
    const store::ResolvedModel resolved = open_store().resolve(model);
    const text::Tokenizer tokenizer = load_tokenizer(resolved.path);
    if (!tokenizer.warning().empty()) console.message("warning: " + visible(tokenizer.warning()));
    const text::EncodeOptions encode{.add_special = !no_special, .parse_special = parse_special};
    if (!cases.empty()) {
      print_cases(tokenizer, encode, console);
    } else if (detokenize) {
      const auto tokens = parse_token_ids(read_input(file), file);
      console.write_foreign(tokenizer.decode(tokens, {.special = parse_special}));
    } else {
      const auto tokens = tokenizer.encode(read_input(file), encode);
      console.write(to_line({{"tokens", boost::json::value_from(tokens)}}));
    }
  }

  void print_cases(const text::Tokenizer& tokenizer, text::EncodeOptions encode,
                   const Console& console) const {
    const std::string content = read_input(cases);
    std::string_view rest = content;
    while (!rest.empty()) {
      const std::size_t end = rest.find(kCaseSeparator);
      console.write(join_token_ids(tokenizer.encode(rest.substr(0, end), encode)) + "\n");
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + kCaseSeparator.size());
    }
  }
};

}  // namespace

void add_tokenize(CLI::App& program, const Console& console) {
  auto options = std::make_shared<TokenizeCommand>();
  CLI::App* command = add_command(program, "tokenize", "Turn text into token ids, or back",
                                  "echo -n Hello | medlar tokenize -m smollm2:135m");
  command->add_option("-m,--model", options->model, "Whose vocabulary")->required()->type_name("MODEL");
  CLI::Option* file = command->add_option("-f,--file", options->file, "Read this instead of standard input");
  file->type_name("FILE");
  command->add_flag("--no-special", options->no_special, "Add no begin and end tokens");
  command->add_flag("--parse-special", options->parse_special,
                    "Names of control tokens in the text are those tokens; with --detokenize, show them");
  CLI::Option* back = command->add_flag("--detokenize", options->detokenize, "Turn token ids into text");
  command
      ->add_option("--cases", options->cases,
                   "Tokenize each text of FILE, parted by lines \"__ggml_vocab_test__\": a line of ids each")
      ->type_name("FILE")
      ->excludes(file)
      ->excludes(back);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
