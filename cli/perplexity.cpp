// medlar perplexity: how well a model predicts a text, and how far it is from another.
#include "eval/perplexity.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/error.h"
#include "base/host.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/perplexity_report.h"
#include "cli/scored_text.h"
#include "cli/tokens.h"
#include "eval/same_tokens.h"

namespace medlar::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct PerplexityCommand {
  std::string model, file, kl_base, kl_against, save_base;
  std::int64_t stride = 0, chunks = 0;
  bool json = false;
  EngineFlags engine;

  void run(const Console& console) const {
    if (file.empty() && kl_base.empty())
      throw Error(ErrorKind::usage, "there is no text", "give --file, or --kl-base, which has its tokens");
    const store::Store store = open_store();
    const std::filesystem::path path = store.resolve(model).path;
    std::optional<eval::KlBase> stored;
    if (!kl_base.empty()) stored = eval::KlBase::open(kl_base);
    std::optional<std::filesystem::path> against;
    if (!kl_against.empty()) against = store.resolve(kl_against).path;
    const eval::Windows windows = cut(path, stored, against);
    const PerplexityReport report =
        measure(path, windows, {.stored = stored ? &*stored : nullptr}, against, console);
    console.write(json ? to_line(to_json(report)) : to_text(report));
  }

 private:
  // The text's windows. Looks at vocabularies alone, so what cannot be is told before a model is loaded.
  eval::Windows cut(const std::filesystem::path& path, const std::optional<eval::KlBase>& stored,
                    const std::optional<std::filesystem::path>& against) const {
    const text::Tokenizer tokenizer = load_tokenizer(path);
    const text::TokenId bos = tokenizer.adds_bos() ? tokenizer.special().bos : text::kNoToken;
    std::vector<text::TokenId> tokens;
    if (!file.empty()) {
      const std::string text = read_text(file);
      tokens = tokenizer.encode(text);
      if (against) eval::check_same_tokens(tokenizer, load_tokenizer(*against), text);
    }
    if (!stored) return {std::move(tokens), bos, {.context = context(), .stride = stride, .most = chunks}};
    if (stored->vocab() != tokenizer.size())
      throw Error(ErrorKind::usage,
                  fmt::format("{}: made with a vocabulary of {} tokens; the model has {}", stored->name(),
                              stored->vocab(), tokenizer.size()),
                  "compare models of one family");
    if (engine.context > 0 && engine.context != stored->context())
      throw Error(
          ErrorKind::usage,
          fmt::format("{}: made with --ctx {}, not {}", stored->name(), stored->context(), engine.context),
          "leave --ctx out");
    if (!file.empty()) stored->check_same_text(tokens);
    return {stored->tokens(), bos, {.context = stored->context(), .most = chunks}};
  }

  PerplexityReport measure(const std::filesystem::path& path, const eval::Windows& windows,
                           eval::ScoreOptions options, const std::optional<std::filesystem::path>& against,
                           const Console& console) const {
    EngineOptions wanted = engine.options();
    const int threads = wanted.threads > 0 ? wanted.threads : probe().default_threads();
    options.team = std::make_shared<Team>(TeamOptions{.threads = threads});
    wanted = eval::scoring(wanted, windows, options.team);
    const auto loaded = Engine::load(path, wanted);
    const auto base = against ? Engine::load(*against, wanted) : nullptr;
    options.against = base.get();
    warn_of_length(*loaded, windows, console);
    std::optional<eval::KlBaseWriter> writer;
    if (!save_base.empty()) writer.emplace(save_base, windows, loaded->description().vocab);
    options.save = writer ? &*writer : nullptr;
    const Interrupt interrupt;
    options.cancel = &interrupt.flag();
    ScoreBar bar(console, "");
    options.on_step = [&](const eval::ScoreProgress& p) { bar.show(p); };
    const Clock::time_point start = Clock::now();
    const eval::Scores scores = eval::score_windows(*loaded, windows, options);
    const double seconds = seconds_since(start);
    if (scores.tokens.empty())
      throw Error(ErrorKind::cancelled, "stopped by Ctrl-C before the first window was read",
                  "a smaller --ctx gives a first result sooner");
    if (writer && scores.complete) writer->commit();
    if (writer && !scores.complete)
      console.message(fmt::format("note: {} is not written, as it would not be whole", visible(save_base)));
    return {.model = model,
            .base = kl_against.empty() ? kl_base : kl_against,
            .file = file,
            .saved = scores.complete ? save_base : "",
            .context = engine.context > 0 || !options.stored ? context() : options.stored->context(),
            .stride = stride,
            .windows = std::ssize(scores.running),
            .whole = windows.count(),
            .running = scores.running,
            .seconds = seconds,
            .tokens_per_second = static_cast<double>(scores.read) / seconds,
            .quality = eval::quality(scores.tokens, options.stored || options.against)};
  }

  std::int64_t context() const { return engine.context > 0 ? engine.context : eval::WindowOptions{}.context; }

  static void warn_of_length(const Engine& loaded, const eval::Windows& windows, const Console& console) {
    const std::int64_t trained = loaded.description().trained_context;
    if (trained > 0 && windows.length() > trained)
      console.message(
          fmt::format("note: windows of {} tokens are longer than the {} the model was trained for",
                      windows.length(), trained));
  }
};

}  // namespace

void add_perplexity(CLI::App& program, const Console& console) {
  auto options = std::make_shared<PerplexityCommand>();
  CLI::App* command =
      add_command(program, "perplexity", "Measure how well a model predicts a text, alone or beside another",
                  "medlar perplexity -m smollm2:135m -f text.txt --kl-against smollm2-f16.gguf");
  command->add_option("-m,--model", options->model, "Which model")->required()->type_name("MODEL");
  command->add_option("-f,--file", options->file, "The text; - for standard input")->type_name("FILE");
  CLI::Option* stride = command->add_option(
      "--stride", options->stride, "Windows begin N tokens apart, and the last N tokens of each are scored");
  stride->type_name("N")->check(CLI::PositiveNumber.description(""));
  command->add_option("--chunks", options->chunks, "Windows to read at most; all if not given")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  CLI::Option* against =
      command->add_option("--kl-against", options->kl_against, "Compare with what this model says");
  against->type_name("MODEL");
  command->add_option("--kl-base", options->kl_base, "Compare with log-probabilities that were saved")
      ->type_name("FILE")
      ->excludes(against)
      ->excludes(stride);
  command
      ->add_option("--save-base", options->save_base, "Save the model's log-probabilities, to compare with")
      ->type_name("FILE")
      ->excludes(stride);
  command->add_flag("--json", options->json, "Print JSON");
  options->engine.add_to(*command);
  command->get_option("--ctx")->description("Tokens of a window; 512 if not given");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
