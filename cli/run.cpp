// medlar run: one prompt, one streamed answer.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/engine_options.h"
#include "cli/generation_options.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/memory_limit.h"
#include "cli/models.h"
#include "cli/progress_bar.h"
#include "cli/speed_record.h"
#include "cli/stats.h"
#include "cli/tuned_flag.h"

namespace medlar::cli {
namespace {

// Prompts shorter than this are read before a bar could be seen.
constexpr std::int64_t kLongPrompt = 512;

struct RunCommand {
  std::string model, prompt, system;
  bool raw = false, json = false, stats = false;
  EngineFlags engine;
  MemoryFlag memory;
  TunedFlag tuned;
  GenerationFlags generation;

  void run(const Console& console) const {
    // Whatever is wrong with the options is said before anything is loaded.
    const EngineOptions engine_options = engine.options();
    GenerateOptions options = generation.options();
    const std::optional<grammar::Rules> rules = generation.rules();
    const auto [reference, text] = arguments(console);
    store::Store store = open_store();
    const std::string wanted = reference.empty() ? best_model(store) : reference;
    const store::ResolvedModel resolved = resolve_or_pull(store, wanted, console);
    const TunedFlag::Model model{.path = resolved.path, .open = engine.open(), .limit = memory.value()};
    const auto [loaded, fitting] = memory.load(
        {.path = resolved.path, .reference = wanted, .options = tuned.apply(engine_options, model, console)},
        Program{.home = store.options().root, .name = "medlar run"}, console);
    if (rules) options.grammar = std::make_shared<grammar::Constraint>(*rules, loaded->vocabulary());
    const std::vector<std::int32_t> tokens = prompt_tokens(*loaded, text, console);
    const Interrupt interrupt;
    options.cancel = &interrupt.flag();
    Session session = loaded->open_session();
    const Generation result = generate(session, tokens, options, console);
    if (json) {
      print_json(*loaded, result, console);
    } else {
      print_end(*loaded, result, console);
    }
    record({.path = resolved.path, .model = resolved.name, .options = fitting}, result);
    if (result.finish == FinishReason::cancelled) throw Error(ErrorKind::cancelled, "stopped by Ctrl-C");
    if (result.finish == FinishReason::no_token && rules)
      throw Error(ErrorKind::usage, result.message, "try without the grammar, or with a simpler one");
    if (result.finish == FinishReason::no_token)
      throw Error(ErrorKind::bad_file, result.message.empty() ? "no token can follow" : result.message,
                  fmt::format("medlar verify {} checks the model's files", resolved.name));
  }

  // What is too short to be timed is left out.
  static void record(MeasuredSpeed measured, const Generation& result) {
    constexpr std::int64_t kLongPrompt = 64, kLongAnswer = 16;
    const std::int64_t read = result.usage.prompt_tokens - result.usage.cached_tokens;
    measured.workload = {
        .prompt = read, .batch = measured.options.batch, .depth = result.usage.cached_tokens};
    if (read >= kLongPrompt) {
      measured.of = host::SpeedOf::prompt;
      measured.tokens_per_second = result.timings.prompt_tps;
      record_speed(measured);
    }
    if (result.usage.completion_tokens >= kLongAnswer) {
      measured.of = host::SpeedOf::decode;
      measured.tokens_per_second = result.timings.decode_tps;
      record_speed(measured);
    }
  }

  // MODEL and PROMPT. A single argument with a space in it is the prompt: no name of a model has one.
  std::pair<std::string, std::string> arguments(const Console& console) const {
    std::string reference = model, text = prompt;
    if (text.empty() && reference.find_first_of(" \n") != std::string::npos) std::swap(reference, text);
    if (text == "-" || (text.empty() && !console.input.interactive)) {
      text = read_input("-");
      // The end of the last line is no part of a question, but may be of a text to continue.
      if (!raw && text.ends_with('\n')) text.pop_back();
    }
    if (text.empty())
      throw Error(ErrorKind::usage, "there is no prompt",
                  "give one as the last argument or on standard input, or use \"medlar chat\"");
    return {reference, text};
  }

  std::vector<std::int32_t> prompt_tokens(const Engine& loaded, const std::string& text,
                                          const Console& console) const {
    if (raw) return loaded.tokenizer().encode(text);
    if (!loaded.chat_template()) {
      console.message("note: this model has no chat template, so it continues the text (as with --raw)");
      return loaded.tokenizer().encode(text);
    }
    std::vector<Message> messages;
    if (!system.empty()) messages.push_back({"system", system});
    messages.push_back({"user", text});
    return to_tokens(loaded, messages);
  }

  Generation generate(Session& session, const std::vector<std::int32_t>& tokens, GenerateOptions& options,
                      const Console& console) const {
    ProgressBar bar(console.messages, stderr);
    options.on_prompt = [&](std::int64_t done, std::int64_t total) {
      if (total < kLongPrompt) return;
      bar.show({.what = "reading the prompt",
                .done = static_cast<std::uint64_t>(done),
                .total = static_cast<std::uint64_t>(total),
                .bytes = false});
      if (done == total) bar.clear();
    };
    if (!json) {
      options.on_text = [&](std::string_view text) { console.write_foreign(text); };
    }
    return session.generate(tokens, options);
  }

  void print_end(const Engine& loaded, const Generation& result, const Console& console) const {
    if (!result.text.ends_with('\n')) console.write("\n");
    if (!result.message.empty() && result.finish == FinishReason::length)
      console.message(styled(console.messages, Style::dim, "note: " + visible(result.message)));
    if (stats) console.message(styled(console.messages, Style::dim, stats_line(loaded, result)));
  }

  static void print_json(const Engine& loaded, const Generation& result, const Console& console) {
    boost::json::object object{{"text", result.text},
                               {"tokens", boost::json::value_from(result.tokens)},
                               {"finish_reason", to_string(result.finish)},
                               {"seed", result.seed}};
    if (!result.message.empty()) object["message"] = result.message;
    for (auto& [key, value] : stats_json(loaded, result)) object[key] = value;
    console.write(to_line(object));
  }
};

}  // namespace

void add_run(CLI::App& program, const Console& console) {
  auto options = std::make_shared<RunCommand>();
  CLI::App* command = add_command(program, "run", "Answer a prompt, word by word",
                                  "medlar run smollm2:135m \"Why is the sky blue?\"");
  command
      ->add_option("model", options->model,
                   "Which model, pulled if it is not here; without it the best one that is here")
      ->type_name("MODEL");
  command->add_option("prompt", options->prompt, "What to answer; - or nothing: standard input")
      ->type_name("TEXT");
  command->add_option("--system", options->system, "A system message before the prompt")->type_name("TEXT");
  command->add_flag("--raw", options->raw, "Continue the text as it is, without the chat template");
  command->add_flag("--stats", options->stats, "End with a line of what the answer cost");
  command->add_flag("--json", options->json, "Print text, tokens and costs as JSON when all is written");
  options->generation.add_to(*command);
  options->generation.add_grammar_to(*command);
  options->engine.add_to(*command);
  options->memory.add_to(*command);
  options->tuned.add_to(*command);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
