// medlar batch: many requests from a file, answered into another one.
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/batch_files.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/memory_limit.h"
#include "cli/models.h"
#include "cli/progress_bar.h"
#include "cli/units.h"
#include "server/local_api.h"

namespace medlar::cli {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

struct BatchAnswer {
  BatchRequest request;
  server::Response response;
};

// Answers on their way from the server's thread to the one that writes them.
class Inbox {
 public:
  void put(BatchAnswer answer) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
    changed_.notify_one();
  }
  // Nothing: none came within a moment.
  std::optional<BatchAnswer> take() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::milliseconds(200), [&] { return !answers_.empty(); }))
      return std::nullopt;
    BatchAnswer answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<BatchAnswer> answers_;
};

struct Tally {
  std::int64_t requests = 0, answered = 0, failed = 0, found = 0;
  std::int64_t prompt_tokens = 0, completion_tokens = 0;
  Clock::time_point start = Clock::now();

  double seconds() const { return std::chrono::duration<double>(Clock::now() - start).count(); }
  std::int64_t tokens() const { return prompt_tokens + completion_tokens; }
  std::int64_t done() const { return answered + failed; }
  double tokens_per_second() const { return static_cast<double>(tokens()) / std::max(seconds(), 1e-9); }

  void count(const json::value& body) {
    const json::value* usage = body.is_object() ? body.get_object().if_contains("usage") : nullptr;
    if (!usage || !usage->is_object()) return;
    const auto number = [&](const char* name) {
      const json::value* value = usage->get_object().if_contains(name);
      return value && value->is_int64() ? value->get_int64() : 0;
    };
    prompt_tokens += number("prompt_tokens");
    completion_tokens += number("completion_tokens");
  }
};

json::object line_of(const BatchRequest& request, const std::string& id) {
  json::object line{{"id", id}, {"custom_id", nullptr}, {"response", nullptr}, {"error", nullptr}};
  if (request.custom_id.empty()) {
    line["line"] = request.line;
  } else {
    line["custom_id"] = request.custom_id;
  }
  return line;
}

std::string id_of(const BatchRequest& request) { return fmt::format("batch_req_{}", request.line); }

struct BatchCommand {
  std::string input, output, model;
  int parallel = 8;
  std::int64_t cache = 0;
  bool json_summary = false, parallel_is_open = true;  // --parallel is not given
  EngineFlags engine;
  MemoryFlag memory;

  void run(const Console& console) const {
    EngineOptions engine_options = engine.options();
    engine_options.sequences = parallel;
    engine_options.cache = cache;
    BatchInput requests(input);
    const BatchSummary summary = requests.summary();
    BatchOutput answers(output, summary);
    Tally tally{.requests = summary.requests, .found = answers.found()};
    if (answers.cut_bytes() > 0)
      console.message(fmt::format("note: {} ended in half a line, which is asked for again", output));
    if (tally.found < tally.requests) {
      const Interrupt interrupt;
      server::LocalApi api(load(summary, engine_options, console), Logger::to_stderr(LogLevel::error));
      tally.start = Clock::now();
      answer_all(requests, answers, api, tally, interrupt, console);
      answers.sync();
      if (interrupt.requested())
        throw Error(ErrorKind::cancelled, fmt::format("stopped by Ctrl-C after {} answers", tally.done()),
                    "the same command goes on from here");
    }
    report(tally, console);
  }

 private:
  std::unique_ptr<server::Model> load(const BatchSummary& summary, const EngineOptions& engine_options,
                                      const Console& console) const {
    if (model.empty() && summary.models.size() != 1)
      throw Error(ErrorKind::usage, fmt::format("the requests name {} models", summary.models.size()),
                  "say with -m which one answers them all");
    store::Store store = open_store();
    const std::string reference = model.empty() ? *summary.models.begin() : model;
    const store::ResolvedModel resolved = resolve_or_pull(store, reference, console);
    auto result = std::make_unique<server::Model>();
    MemoryFlag::Loaded loaded =
        memory.load({.path = resolved.path,
                     .reference = reference,
                     .options = engine_options,
                     .parallel_is_open = parallel_is_open},
                    Program{.home = store.options().root, .name = "medlar batch"}, console);
    result->engine = std::move(loaded.engine);
    result->path = resolved.path;
    result->parallel = loaded.options.sequences;
    // Who says -m wants this model to answer, whatever the requests call it.
    result->names = {resolved.name};
    result->names.insert(result->names.end(), summary.models.begin(), summary.models.end());
    return result;
  }

  // Keeps enough requests under way that no place is ever empty, and few enough that memory stays flat.
  void answer_all(BatchInput& requests, BatchOutput& answers, server::LocalApi& api, Tally& tally,
                  const Interrupt& interrupt, const Console& console) const {
    const auto most = std::min<std::int64_t>(4 * std::int64_t{parallel}, 128);
    const auto inbox = std::make_shared<Inbox>();
    ProgressBar bar(console.messages, stderr);
    std::int64_t under_way = 0;
    bool more = true;
    while ((more || under_way > 0) && !interrupt.requested()) {
      while (more && under_way < most) {
        std::optional<BatchRequest> request = requests.next();
        more = request.has_value();
        if (!request || answers.has(*request)) continue;
        if (!request->wrong.empty()) {
          refuse(*request, answers, tally);
          continue;
        }
        ++under_way;
        const std::string path = request->path, id = id_of(*request);
        std::string body = std::exchange(request->body, {});
        api.post(path, std::move(body), id,
                 [inbox, request = std::move(*request)](server::Response response) mutable {
                   inbox->put({std::move(request), std::move(response)});
                 });
      }
      if (under_way == 0) continue;
      if (const std::optional<BatchAnswer> answer = inbox->take(); answer && !interrupt.requested()) {
        --under_way;
        write(*answer, answers, tally);
      }
      bar.show(progress(tally));
    }
  }

  static void write(const BatchAnswer& answer, BatchOutput& answers, Tally& tally) {
    json::object line = line_of(answer.request, id_of(answer.request));
    json::value body = parse_json(answer.response.body, "the answer");
    tally.count(body);
    ++(answer.response.status == 200 ? tally.answered : tally.failed);
    line["response"] = {{"status_code", answer.response.status},
                        {"request_id", id_of(answer.request)},
                        {"body", std::move(body)}};
    answers.add(line);
  }

  static void refuse(const BatchRequest& request, BatchOutput& answers, Tally& tally) {
    json::object line = line_of(request, id_of(request));
    line["error"] = {{"code", "invalid_request"}, {"message", request.wrong}};
    ++tally.failed;
    answers.add(line);
  }

  static Progress progress(const Tally& tally) {
    const std::int64_t done = tally.found + tally.done();
    Progress p{.what = fmt::format("{} of {}, {} tokens/s", done, tally.requests,
                                   format_rate(tally.tokens_per_second())),
               .done = static_cast<std::uint64_t>(done),
               .total = static_cast<std::uint64_t>(tally.requests),
               .bytes = false};
    if (tally.done() > 0)
      p.seconds_left =
          tally.seconds() / static_cast<double>(tally.done()) * static_cast<double>(tally.requests - done);
    return p;
  }

  void report(const Tally& tally, const Console& console) const {
    if (json_summary)
      return console.write(to_line({{"requests", tally.requests},
                                    {"answered", tally.answered},
                                    {"failed", tally.failed},
                                    {"found", tally.found},
                                    {"prompt_tokens", tally.prompt_tokens},
                                    {"completion_tokens", tally.completion_tokens},
                                    {"seconds", tally.seconds()},
                                    {"tokens_per_second", tally.tokens_per_second()}}));
    std::string text = fmt::format("{} answered, {} failed", tally.answered, tally.failed);
    if (tally.found > 0) text += fmt::format(", {} were there already", tally.found);
    console.write(text + "\n");
  }
};

}  // namespace

void add_batch(CLI::App& program, const Console& console) {
  auto options = std::make_shared<BatchCommand>();
  CLI::App* command = add_command(program, "batch", "Answer a file of requests into another file",
                                  "medlar batch requests.jsonl answers.jsonl -m smollm2:135m");
  command
      ->add_option("input", options->input,
                   "One request a line, in OpenAI's batch format: custom_id, method, url, body")
      ->type_name("IN")
      ->required();
  command
      ->add_option("output", options->output,
                   "One answer a line; those that it has already are not asked for again")
      ->type_name("OUT")
      ->required();
  command
      ->add_option("-m,--model", options->model,
                   "Which model answers, whatever the requests call it; else the one they all name")
      ->type_name("MODEL");
  command->add_option("--parallel", options->parallel, "Requests that are answered together")
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""))
      ->capture_default_str();
  command->add_option("--cache", options->cache, "Tokens that all requests together can hold; 0: one context")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""));
  command->add_flag("--json", options->json_summary, "Print what was done as JSON");
  options->engine.add_to(*command);
  options->memory.add_to(*command);
  command->callback([options, command, &console] {
    options->parallel_is_open = command->count("--parallel") == 0;
    options->run(console);
  });
}

}  // namespace medlar::cli
