// medlar compare: size, quality and speed of several files in one table and one picture.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/host.h"
#include "cli/bench_sustained.h"
#include "cli/commands.h"
#include "cli/compare_report.h"
#include "cli/engine_options.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/scored_text.h"
#include "cli/tokens.h"
#include "eval/perplexity.h"
#include "eval/same_tokens.h"
#include "tune/bench.h"

namespace medlar::cli {
namespace {

struct CompareCommand {
  std::vector<std::string> models;
  std::string base, file, plot;
  std::int64_t chunks = 0, prompt = 512, gen = 64;
  int repetitions = 3;
  bool json = false;
  EngineFlags engine;

  // What cannot be is told before anything is measured.
  void run(const Console& console) const {
    std::optional<AtomicFile> picture;
    if (!plot.empty()) check_plot_name(plot), picture.emplace(plot);
    CompareReport report{.file = file,
                         .context = engine.context > 0 ? engine.context : eval::WindowOptions{}.context,
                         .prompt = prompt,
                         .gen = gen,
                         .models = open()};
    ComparedModel& against = base_of(report.models);
    std::optional<eval::Windows> windows;
    if (!file.empty()) windows = cut(report, against);
    for (ComparedModel& model : report.models) measure_speed(model);
    if (windows) {
      against.base = true;
      measure_quality(report.models, *windows, console);
      mark_frontier(report.models);
    }
    console.write(json ? to_line(to_json(report)) : to_text(report));
    if (picture) draw(*picture, to_plot(report));
  }

 private:
  std::vector<ComparedModel> open() const {
    const store::Store store = open_store();
    std::vector<ComparedModel> opened;
    const auto add = [&](const std::string& name) {
      std::filesystem::path path = store.resolve(name).path;
      if (std::ranges::find(opened, path, &ComparedModel::path) != opened.end()) return;
      ModelDescription description = describe(path);
      opened.push_back({.name = name, .path = std::move(path), .description = std::move(description)});
    };
    for (const std::string& name : models) add(name);
    if (!base.empty()) add(base);
    return opened;
  }

  // The largest, unless another was asked for: what a file was made from is larger than it.
  ComparedModel& base_of(std::vector<ComparedModel>& opened) const {
    if (base.empty())
      return *std::ranges::max_element(opened, {}, [](const auto& m) { return m.description.file_bytes; });
    const std::filesystem::path path = open_store().resolve(base).path;
    return *std::ranges::find(opened, path, &ComparedModel::path);
  }

  eval::Windows cut(const CompareReport& report, const ComparedModel& against) const {
    const std::string text = read_text(file);
    const text::Tokenizer tokenizer = load_tokenizer(against.path);
    for (const ComparedModel& model : report.models) {
      if (&model == &against) continue;
      try {
        eval::check_same_tokens(load_tokenizer(model.path), tokenizer, text);
      } catch (const Error& e) {
        throw Error(e.kind(), fmt::format("{} beside {}: {}", model.name, against.name, e.what()), e.hint());
      }
    }
    const text::TokenId bos = tokenizer.adds_bos() ? tokenizer.special().bos : text::kNoToken;
    return {tokenizer.encode(text), bos, {.context = report.context, .most = chunks}};
  }

  void measure_speed(ComparedModel& model) const {
    if (prompt == 0 && gen == 0) return;
    const EngineOptions o = engine.options();
    const tune::BenchOptions options{.prompts = {prompt},
                                     .gens = {gen},
                                     .batches = {o.batch},
                                     .threads = {o.threads},
                                     .k_types = {o.k_type},
                                     .v_types = {o.v_type},
                                     .repetitions = repetitions,
                                     .limits = false,
                                     .device = o.device,
                                     .gpu_layers = o.gpu_layers,
                                     .gpus = o.gpus,
                                     .exact = o.exact,
                                     .kernel_cache = o.kernel_cache};
    tune::bench(model.path, options, [&](const tune::BenchResult& r) {
      const double median = tune::summarize(r.tokens_per_second()).median;
      (r.setting.test.prompt > 0 ? model.prompt_rate : model.answer_rate) = median;
      model.anonymous_bytes = r.anonymous_bytes, model.file_bytes = r.file_bytes;
    });
  }

  // Two models are loaded at a time: the base and another, which read each window in turn.
  void measure_quality(std::vector<ComparedModel>& compared, const eval::Windows& windows,
                       const Console& console) const {
    EngineOptions options = engine.options();
    const int threads = options.threads > 0 ? options.threads : probe().default_threads();
    const auto team = std::make_shared<Team>(TeamOptions{.threads = threads});
    options = eval::scoring(options, windows, team);
    ComparedModel& against = *std::ranges::find(compared, true, &ComparedModel::base);
    const auto base_engine = Engine::load(against.path, options);
    const Interrupt interrupt;
    const auto score = [&](const ComparedModel& model, Engine& loaded, Engine* beside) {
      ScoreBar bar(console, visible(model.name));
      const eval::Scores scores =
          eval::score_windows(loaded, windows,
                              {.against = beside,
                               .team = team,
                               .cancel = &interrupt.flag(),
                               .on_step = [&](const eval::ScoreProgress& p) { bar.show(p); }});
      if (!scores.complete) throw Error(ErrorKind::cancelled, "stopped by Ctrl-C");
      return eval::quality(scores.tokens, beside != nullptr);
    };
    for (ComparedModel& model : compared) {
      if (model.base) continue;
      model.quality = score(model, *Engine::load(model.path, options), base_engine.get());
      against.quality = eval::base_quality(*model.quality);
    }
    if (!against.quality) against.quality = score(against, *base_engine, nullptr);
  }

  void draw(AtomicFile& picture, const tune::Scatter& scatter) const {
    const std::string text = is_page(plot) ? tune::html(scatter) : tune::svg(scatter);
    picture.write(std::as_bytes(std::span(text)));
    picture.commit();
  }
};

}  // namespace

void add_compare(CLI::App& program, const Console& console) {
  auto options = std::make_shared<CompareCommand>();
  CLI::App* command =
      add_command(program, "compare", "Compare files of one model: size, quality, speed and memory",
                  "medlar compare f16.gguf q8_0.gguf q4_k_m.gguf -f text.txt --plot frontier.svg");
  command->add_option("models", options->models, "Which models")->required()->type_name("MODEL");
  CLI::Option* file =
      command->add_option("-f,--file", options->file,
                          "A text to measure quality with; - for standard input; without it, size and speed");
  file->type_name("FILE");
  command->add_option("--base", options->base, "Measure divergence from this one; the largest if not given")
      ->type_name("MODEL")
      ->needs(file);
  command->add_option("--chunks", options->chunks, "Windows of the text to read at most; all if not given")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""))
      ->needs(file);
  command
      ->add_option("--plot", options->plot,
                   "Draw divergence over size into FILE: .svg, or .html for the same in a page")
      ->type_name("FILE")
      ->needs(file);
  const auto number = [&](const std::string& name, auto& value, const std::string& help, CLI::Range range) {
    command->add_option(name, value, help)
        ->type_name("N")
        ->check(range.description(""))
        ->capture_default_str();
  };
  number("-p,--n-prompt", options->prompt, "Tokens of a prompt to read for its speed; 0: none",
         CLI::Range(0, 1 << 20));
  number("-n,--n-gen", options->gen, "Tokens to write one by one for its speed; 0: none",
         CLI::Range(0, 1 << 20));
  number("-r,--repetitions", options->repetitions, "Runs of each, of which the median counts",
         CLI::Range(1, 1000));
  command->add_flag("--json", options->json, "Print JSON");
  options->engine.add_to(*command);
  command->get_option("--ctx")->description("Tokens of a window; 512 if not given");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
