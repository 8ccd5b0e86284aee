// medlar eval: how many items of a task a model gets right.
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/engine_options.h"
#include "cli/eval_report.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/json_lines.h"
#include "cli/models.h"
#include "cli/progress_bar.h"
#include "cli/task_file.h"
#include "eval/choices.h"
#include "formats/all.h"
#include "store/digest.h"

namespace medlar::cli {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kScoreBytes = 16 << 20;  // of logits at once; choices are short

std::string digest(const std::string& content) {
  store::Sha256 hash;
  hash.update(std::as_bytes(std::span(content)));
  return hash.finish().hex();
}

// Answers on disk: a line that says what they were made with, then one for each item.
class Results {
 public:
  // Throws Error(usage) naming what differs from `settings`; what JsonLinesFile throws.
  Results(const std::string& path, const json::object& settings)
      : file_(path, [&](const std::string& line) { take(line, settings, path); }) {
    if (!begun_) file_.add({{"medlar_eval", settings}});
  }

  const std::vector<EvalAnswer>& found() const { return found_; }
  bool has(const std::string& id) const { return ids_.contains(id); }
  std::int64_t cut_bytes() const { return file_.cut_bytes(); }
  void add(const json::object& line) { file_.add(line); }
  void sync() { file_.sync(); }

 private:
  void take(const std::string& line, const json::object& settings, const std::string& path) {
    const json::value value = parse_json(line, path);
    const json::object* object = value.if_object();
    if (!object) refuse(path);
    if (!begun_) {
      const json::value* made_with = object->if_contains("medlar_eval");
      if (!made_with || !made_with->is_object()) refuse(path);
      for (const auto& [key, wanted] : settings) {
        const json::value* had = made_with->get_object().if_contains(key);
        if (!had || *had != wanted)
          throw Error(ErrorKind::usage, fmt::format("{}: made with another {}", path, std::string(key)),
                      "give another file for the results, or the same settings");
      }
      begun_ = true;
      return;
    }
    found_.push_back(answer(*object, path));
    ids_.insert(found_.back().id);
  }

  static EvalAnswer answer(const json::object& line, const std::string& path) {
    const auto flag = [&](const char* key) {
      const json::value* value = line.if_contains(key);
      return value && value->is_bool() && value->get_bool();
    };
    const json::value *id = line.if_contains("id"), *task = line.if_contains("task");
    if (!id || !id->is_string() || !task || !task->is_string()) refuse(path);
    return {.id = std::string(id->get_string()),
            .task = std::string(task->get_string()),
            .choice = line.contains("log_p"),
            .correct = flag("correct"),
            .correct_sum = flag("correct_sum")};
  }

  [[noreturn]] static void refuse(const std::string& path) {
    throw Error(ErrorKind::bad_file, fmt::format("{}: holds no results of medlar eval", path),
                "give another file for the results");
  }

  bool begun_ = false;
  std::vector<EvalAnswer> found_;
  std::set<std::string> ids_;
  JsonLinesFile file_;  // last: reading it fills the others
};

struct EvalCommand {
  std::string model, file, out;
  std::int64_t max_tokens = 128, limit = 0;
  double temperature = 0;
  std::uint64_t seed = 0;
  bool chat = false, json_output = false;
  EngineFlags engine;

  void run(const Console& console) const {
    const std::string content = read_input(file);
    std::vector<eval::Item> items = parse_items(content, file == "-" ? "standard input" : file);
    if (limit > 0 && limit < std::ssize(items)) items.resize(static_cast<std::size_t>(limit));
    const store::ResolvedModel resolved = open_store().resolve(model);
    std::optional<Results> results;
    if (!out.empty()) results.emplace(out, settings(resolved, content));
    if (results && results->cut_bytes() > 0)
      console.message(fmt::format("note: {} ended in half a line, which is asked for again", visible(out)));
    EvalReport report{.model = model, .file = file, .results = out, .items = std::ssize(items), .seed = seed};
    if (results)
      for (const EvalAnswer& answer : results->found()) report.count(answer), ++report.found;
    if (!report.complete()) answer_all(resolved.path, items, results ? &*results : nullptr, report, console);
    console.write(json_output ? to_line(to_json(report)) : to_text(report));
  }

 private:
  // Whatever changes answers.
  json::object settings(const store::ResolvedModel& resolved, const std::string& content) const {
    const EngineOptions o = engine.options();
    const auto type = [](const std::optional<DType>& t) {
      return t ? std::string(format_info(*t).name) : std::string("open");
    };
    return {{"model", resolved.path.filename().string()},
            {"model_bytes", describe(resolved.path).file_bytes},
            {"items", digest(content)},
            {"limit", limit},
            {"seed", seed},
            {"max_tokens", max_tokens},
            {"temperature", temperature},
            {"chat", chat},
            {"exact", o.exact},
            {"type_k", type(o.k_type)},
            {"type_v", type(o.v_type)}};
  }

  void answer_all(const std::filesystem::path& path, const std::vector<eval::Item>& items, Results* results,
                  EvalReport& report, const Console& console) const {
    EngineOptions options = engine.options();
    options.score_bytes = kScoreBytes;
    const auto loaded = Engine::load(path, options);
    Session session = loaded->open_session();
    const Interrupt interrupt;
    ProgressBar bar(console.messages, stderr);
    const Clock::time_point start = Clock::now();
    for (std::size_t i = 0; i < items.size() && !interrupt.requested(); ++i) {
      if (results && results->has(items[i].id)) continue;
      const std::optional<json::object> line = answer(*loaded, session, items[i], seed + i, interrupt);
      if (!line) break;
      report.count({.id = items[i].id,
                    .task = items[i].task,
                    .choice = items[i].is_choice(),
                    .correct = line->at("correct").as_bool(),
                    .correct_sum = items[i].is_choice() && line->at("correct_sum").as_bool()});
      if (results) results->add(*line);
      show(bar, report, start);
    }
    if (results) results->sync();
    report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (!report.complete() && results)
      console.message("note: stopped by Ctrl-C; the same command goes on from here");
  }

  // The line for the results; nothing where Ctrl-C came first.
  std::optional<json::object> answer(const Engine& loaded, Session& session, const eval::Item& item,
                                     std::uint64_t item_seed, const Interrupt& interrupt) const {
    try {
      json::object line{{"id", item.id}, {"task", item.task}};
      if (item.is_choice()) {
        choose(loaded, session, item, line);
      } else if (!write(loaded, session, item, item_seed, interrupt, line)) {
        return std::nullopt;
      }
      return line;
    } catch (const Error& e) {
      throw Error(e.kind(), fmt::format("{}: item {}: {}", visible(file), visible(item.id), e.what()),
                  e.hint());
    }
  }

  void choose(const Engine& loaded, Session& session, const eval::Item& item, json::object& line) const {
    std::vector<eval::Continuation> choices;
    std::vector<double> log_p;
    for (const std::string& choice : item.choices) {
      choices.push_back(eval::continuation(loaded.tokenizer(), item.prompt, choice));
      log_p.push_back(eval::log_likelihood(session, loaded, choices.back()));
    }
    const eval::ChosenAnswer chosen = eval::choose(log_p, choices);
    line["correct"] = chosen.by_bytes == item.answer;
    line["correct_sum"] = chosen.by_sum == item.answer;
    line["chosen"] = chosen.by_bytes;
    line["log_p"] = json::value_from(log_p);
  }

  bool write(const Engine& loaded, Session& session, const eval::Item& item, std::uint64_t item_seed,
             const Interrupt& interrupt, json::object& line) const {
    GenerateOptions options{.max_tokens = max_tokens, .stop = item.stop, .cancel = &interrupt.flag()};
    options.sampler.temperature = static_cast<float>(temperature);
    options.sampler.seed = item_seed;
    options.sampler.random_seed = false;
    const std::vector<std::int32_t> tokens =
        chat ? to_tokens(loaded, std::vector<Message>{{"user", item.prompt}})
             : loaded.tokenizer().encode(item.prompt);
    const Generation written = session.generate(tokens, options);
    if (written.finish == FinishReason::cancelled) return false;
    line["correct"] = eval::is_right(item, written.text);
    line["text"] = written.text;
    line["finish_reason"] = to_string(written.finish);
    return true;
  }

  static void show(ProgressBar& bar, const EvalReport& report, Clock::time_point start) {
    const auto done = static_cast<double>(report.all.answered - report.found);
    const auto left = static_cast<double>(report.items - report.all.answered);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    bar.show({.what = fmt::format("{:.1f} % right",
                                  100 * eval::wilson(report.all.correct, report.all.answered).value),
              .done = static_cast<std::uint64_t>(report.all.answered),
              .total = static_cast<std::uint64_t>(report.items),
              .seconds_left = done > 0 ? seconds / done * left : -1,
              .bytes = false});
  }
};

}  // namespace

void add_eval(CLI::App& program, const Console& console) {
  auto options = std::make_shared<EvalCommand>();
  CLI::App* command =
      add_command(program, "eval", "Measure how many questions of a file a model answers right",
                  "medlar eval -m smollm2:135m -f tasks.jsonl --out results.jsonl");
  command->add_option("-m,--model", options->model, "Which model")->required()->type_name("MODEL");
  command->add_option("-f,--file", options->file, "Items, one JSON object a line; - for standard input")
      ->required()
      ->type_name("FILE");
  command->add_option("--out", options->out, "Keep each answer here, and go on with what it holds already")
      ->type_name("FILE");
  command->add_option("--limit", options->limit, "Only the first N items")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  command->add_flag("--chat", options->chat, "Written answers: the prompt is a message of a conversation");
  command->add_option("-n,--max-tokens", options->max_tokens, "Written answers: tokens at most")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""))
      ->capture_default_str();
  command->add_option("--temp", options->temperature, "Written answers: 0 takes the most likely token")
      ->type_name("X")
      ->check(CLI::Range(0.0, 100.0).description(""))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Written answers: item i of the file has seed N + i, from 0")
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--json", options->json_output, "Print JSON");
  options->engine.add_to(*command);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
