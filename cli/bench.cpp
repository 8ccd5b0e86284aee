// medlar bench: tokens a second, beside what the machine allows.
#include "tune/bench.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/bench_sustained.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/models.h"
#include "cli/speed_record.h"
#include "cli/synth_progress.h"
#include "cli/tuned_flag.h"
#include "tune/bench_report.h"
#include "tune/synth_file.h"

namespace medlar::cli {
namespace {

template <class Number>
Number parse_number(std::string_view option, const std::string& text, Number least) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > 1 << 24)
    throw Error(ErrorKind::usage, fmt::format("{}: \"{}\" is not a number it takes", option, text),
                fmt::format("give whole numbers from {} on, several between commas", least));
  return value;
}

template <class Number>
std::vector<Number> parse_numbers(std::string_view option, const std::vector<std::string>& texts,
                                  Number least) {
  std::vector<Number> numbers;
  for (const std::string& text : texts) numbers.push_back(parse_number<Number>(option, text, least));
  return numbers;
}

// "512,128" of each -pg.
std::vector<std::pair<std::int64_t, std::int64_t>> parse_pairs(const std::vector<std::string>& texts) {
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
  for (const std::string& text : texts) {
    const std::size_t comma = text.find(',');
    if (comma == text.npos)
      throw Error(ErrorKind::usage, fmt::format("-pg: \"{}\" is no pair", text), "write -pg 512,128");
    pairs.emplace_back(parse_number<std::int64_t>("-pg", text.substr(0, comma), 1),
                       parse_number<std::int64_t>("-pg", text.substr(comma + 1), 1));
  }
  return pairs;
}

struct BenchCommand {
  std::string model, synthetic, format = "md";
  DeviceFlags device;
  std::vector<std::string> prompts{"512"}, gens{"128"}, pairs, depths{"0"}, batches{"0"}, threads{"0"};
  std::vector<std::string> kv_k{""}, kv_v{""};
  int repetitions = 5;
  bool exact = false, profile = false, no_limit = false;
  std::string trace;            // file
  std::string sustained, plot;  // a duration, a file
  OpenSettings open;
  TunedFlag tuned;

  // Wrong usage is told before anything is loaded.
  void run(const Console& console) const {
    if (model.empty() == synthetic.empty())
      throw Error(ErrorKind::usage, "there is no model, or there are two", "give -m MODEL or --synthetic");
    if (sustained.empty()) {
      tune::BenchOptions what = options();
      tune::bench_tests(what);
      tune::BenchReport report(tune::parse_bench_format(format));
      with_model(console, [&](const std::filesystem::path& path, const std::string& name) {
        use_tuned(path, what, console);
        measure(path, name, what, report, console);
      });
    } else {
      SustainedRun what = sustained_run();
      with_model(console, [&](const std::filesystem::path& path, const std::string& name) {
        what.model_name = name;
        what.options.engine = tuned.apply(what.options.engine, tuned_model(path), console);
        run_sustained(path, what, console);
      });
    }
  }

  // Calls `use` with the model's file and its name.
  template <class Use>
  void with_model(const Console& console, const Use& use) const {
    if (model.empty()) {
      const tune::SynthFile file(tune::parse_synth(synthetic), {.progress = synth_progress(console)});
      use(file.path(), synthetic);
    } else {
      const store::ResolvedModel resolved = open_store().resolve(model);
      use(resolved.path, resolved.path.string());
    }
  }

  // Without a limit: nothing is reduced to fit here.
  TunedFlag::Model tuned_model(const std::filesystem::path& path) const {
    return {.path = path, .open = open, .limit = {.bytes = std::numeric_limits<std::int64_t>::max()}};
  }

  void use_tuned(const std::filesystem::path& path, tune::BenchOptions& what, const Console& console) const {
    EngineOptions given{.exact = what.exact};
    device.apply(given);
    const EngineOptions o = tuned.apply(given, tuned_model(path), console);
    if (open.threads) what.threads = {o.threads};
    if (open.batch) what.batches = {o.batch};
    if (open.gpu_layers) what.gpu_layers = o.gpu_layers;
    if (open.kv_type) what.k_types = {o.k_type}, what.v_types = {o.v_type};
  }

  void measure(const std::filesystem::path& path, const std::string& name, const tune::BenchOptions& what,
               tune::BenchReport& report, const Console& console) const {
    std::optional<AtomicFile> file;  // a place that cannot be written is told of before anything is measured
    if (!trace.empty()) file.emplace(trace);
    std::vector<std::string> events;
    console.write(report.begin());
    tune::bench(path, what, [&](tune::BenchResult result) {
      record(path, name, result);
      result.setting.model_path = name;
      console.write(report.row(result));
      if (file)
        events.push_back(result.profile->events(static_cast<int>(events.size()), result.setting.test.name()));
    });
    console.write(report.end());
    if (!file) return;
    const std::string text = tune::chrome_trace(events);
    file->write(std::as_bytes(std::span(text)));
    file->commit();
  }

  void record(const std::filesystem::path& path, const std::string& name, const tune::BenchResult& r) const {
    const tune::BenchTest& test = r.setting.test;
    if (test.prompt > 0 && test.gen > 0) return;
    const bool reads = test.prompt > 0;
    EngineOptions placed;
    device.apply(placed);
    record_speed({.path = path,
                  .model = name,
                  .options = {.context = std::max<std::int64_t>(test.depth + test.tokens(), r.setting.batch),
                              .k_type = r.setting.k_type,
                              .v_type = r.setting.v_type,
                              .threads = r.setting.threads,
                              .batch = r.setting.batch,
                              .device = placed.device,
                              .gpu_layers = placed.gpu_layers,
                              .gpus = placed.gpus,
                              .exact = exact},
                  .of = reads ? host::SpeedOf::prompt : host::SpeedOf::decode,
                  .workload = {.prompt = reads ? test.prompt : std::max<std::int64_t>(test.gen / 2, 1),
                               .batch = r.setting.batch,
                               .depth = test.depth},
                  .tokens_per_second = tune::summarize(r.tokens_per_second()).median});
  }

  tune::BenchOptions options() const {
    EngineOptions placed;
    device.apply(placed);
    return {.prompts = parse_numbers<std::int64_t>("-p", prompts, 0),
            .gens = parse_numbers<std::int64_t>("-n", gens, 0),
            .depths = parse_numbers<std::int64_t>("-d", depths, 0),
            .pairs = parse_pairs(pairs),
            .batches = parse_numbers<int>("-b", batches, 0),
            .threads = parse_numbers<int>("-t", threads, 0),
            .k_types = parse_kv_types("--kv-k", kv_k),
            .v_types = parse_kv_types("--kv-v", kv_v),
            .repetitions = repetitions,
            .profile = profile || !trace.empty(),
            .limits = !no_limit,
            .device = placed.device,
            .gpu_layers = placed.gpu_layers,
            .gpus = placed.gpus,
            .exact = exact,
            .kernel_cache = kernel_cache()};
  }

  // Of the lists it takes one value each.
  SustainedRun sustained_run() const {
    const tune::BenchOptions o = options();
    if (!plot.empty()) check_plot_name(plot);
    return {.format = tune::parse_bench_format(format),
            .plot = plot,
            .options = {.seconds = parse_duration(sustained),
                        .round = {.prompt = only("-p", o.prompts),
                                  .gen = only("-n", o.gens),
                                  .depth = only("-d", o.depths)},
                        .engine = {.k_type = only("--kv-k", o.k_types),
                                   .v_type = only("--kv-v", o.v_types),
                                   .threads = only("-t", o.threads),
                                   .batch = only("-b", o.batches),
                                   .device = o.device,
                                   .gpu_layers = o.gpu_layers,
                                   .gpus = o.gpus,
                                   .exact = o.exact}}};
  }

  template <class Value>
  static Value only(std::string_view option, const std::vector<Value>& values) {
    if (values.size() == 1) return values.front();
    throw Error(ErrorKind::usage, fmt::format("{}: --sustained takes one value", option), "give one");
  }

  static std::vector<std::optional<DType>> parse_kv_types(std::string_view option,
                                                          const std::vector<std::string>& names) {
    std::vector<std::optional<DType>> types;
    for (const std::string& name : names) types.push_back(kv_type(option, name));
    return types;
  }
};

void add_tests(CLI::App& command, BenchCommand& o) {
  const auto list = [&](const std::string& name, std::vector<std::string>& values, const std::string& help) {
    command.add_option(name, values, help)->type_name("N,...")->delimiter(',')->group("What to measure");
  };
  list("-p,--n-prompt", o.prompts, "Tokens of a prompt to read; 512 if not given, 0: none");
  list("-n,--n-gen", o.gens, "Tokens to write one by one; 128 if not given, 0: none");
  command
      .add_option("--n-prompt-gen", o.pairs,
                  "A prompt and an answer timed together, P,N (also -pg); repeatable")
      ->type_name("P,N")
      ->group("What to measure");
  list("-d,--n-depth", o.depths, "Tokens that the context already holds; 0 if not given");
  command.add_option("-r,--repetitions", o.repetitions, "Runs of each test; 5 if not given")
      ->type_name("N")
      ->check(CLI::Range(1, 1000).description(""))
      ->group("What to measure");
  command.add_flag("--no-limit", o.no_limit, "Do not measure what the machine allows")
      ->group("What to measure");
  command.add_flag("--profile", o.profile, "Show where a step's time goes, by kind of kernel call")
      ->group("What to measure");
  command
      .add_option(
          "--trace", o.trace,
          "Write the last run's calls to FILE, which chrome://tracing and Perfetto open; implies --profile")
      ->type_name("FILE")
      ->group("What to measure");
}

void add_sustained(CLI::App& command, BenchCommand& o) {
  CLI::Option* sustained =
      command
          .add_option(
              "--sustained", o.sustained,
              "Instead, read the prompt and write the answer again and again for this long (90s, 10m, "
              "1h), and show the speed over time; Ctrl-C ends it early")
          ->type_name("TIME")
          ->group("Over time");
  for (const char* other : {"--n-prompt-gen", "--repetitions", "--no-limit", "--profile", "--trace"})
    sustained->excludes(command.get_option(other));
  command.add_option("--plot", o.plot, "Draw it into FILE: .svg, or .html for the same in a page")
      ->type_name("FILE")
      ->needs(sustained)
      ->group("Over time");
}

void add_settings(CLI::App& command, BenchCommand& o) {
  const auto list = [&](const std::string& name, std::vector<std::string>& values, const std::string& help) {
    return command.add_option(name, values, help)
        ->type_name("N,...")
        ->delimiter(',')
        ->group("Model and machine");
  };
  list("-b,--batch-size", o.batches, "Tokens read at once; 0 or not given: as many as suit the device");
  list("-t,--threads", o.threads, "Threads; 0: one for each performance core");
  list("--kv-k", o.kv_k, "Types of the cached keys (also -ctk); q8_0 if not given")->type_name("TYPE,...");
  list("--kv-v", o.kv_v, "Types of the cached values (also -ctv); q8_0 if not given")->type_name("TYPE,...");
  o.device.add_to(command);
  command.add_flag("--exact", o.exact, "Activations and KV cache in f32: slower, for comparing")
      ->group("Model and machine");
}

}  // namespace

void add_bench(CLI::App& program, const Console& console) {
  auto options = std::make_shared<BenchCommand>();
  CLI::App* command = add_command(
      program, "bench", "Measure tokens a second, and what share of the machine's own limit that is",
      "medlar bench -m smollm2:135m -p 512 -n 128 -o md");
  CLI::Option* model = command->add_option("-m,--model", options->model, "Which model")->type_name("MODEL");
  command
      ->add_option("--synthetic", options->synthetic,
                   "Instead, a shape with random weights; see medlar synth")
      ->type_name("SHAPE:TYPE")
      ->excludes(model);
  command->add_option("-o,--output", options->format, "How to print; md if not given")
      ->type_name("md|csv|json|jsonl");
  add_tests(*command, *options);
  add_sustained(*command, *options);
  add_settings(*command, *options);
  options->tuned.add_to(*command);
  command->callback([options, command, &console] {
    const auto given = [&](const char* name) { return command->count(name) > 0; };
    options->open = {.threads = !given("--threads"),
                     .batch = !given("--batch-size"),
                     .kv_type = !given("--kv-k") && !given("--kv-v") && !options->exact,
                     .gpu_layers = options->device.is_open()};
    options->run(console);
  });
}

}  // namespace medlar::cli
