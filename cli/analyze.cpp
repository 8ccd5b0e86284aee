// medlar analyze: the memory that a model takes while it fills its context, beside the plan.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/analysis_report.h"
#include "cli/bench_sustained.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/memory_limit.h"
#include "cli/models.h"
#include "cli/progress_bar.h"
#include "tune/workload.h"

namespace medlar::cli {
namespace {

struct AnalyzeCommand {
  std::string model, plot;
  std::vector<std::int64_t> contexts{2048};
  std::int64_t gen = 16;
  bool json = false;
  EngineFlags engine;
  MemoryFlag memory;

  void run(const Console& console) const {
    const EngineOptions options = engine.options();
    if (!plot.empty()) check_plot_name(plot);
    const store::ResolvedModel resolved = open_store().resolve(model);
    std::optional<AtomicFile>
        picture;  // a place that cannot be written is told of before anything is measured
    if (!plot.empty()) picture.emplace(plot);
    const ProcessMemory before = process_memory();
    const Interrupt interrupt;
    std::vector<ContextAnalysis> analyses;
    for (const std::int64_t context : contexts) {
      EngineOptions wanted = options;
      wanted.context = context;
      ContextAnalysis analysis = plan(resolved, wanted);
      if (analysis.fits && !measure(analysis, resolved, before, interrupt, console)) break;
      if (!json) console.write((analyses.empty() ? "" : "\n") + to_text(resolved.name, analysis));
      analyses.push_back(std::move(analysis));
    }
    if (json) print_json(resolved.name, analyses, console);
    if (picture) write_picture(*picture, memory_plot(resolved.name, analyses));
    if (interrupt.requested()) throw Error(ErrorKind::cancelled, "stopped by Ctrl-C");
    const auto refused = std::ranges::count(analyses, false, &ContextAnalysis::fits);
    if (refused > 0)
      throw Error(ErrorKind::out_of_memory,
                  fmt::format("{} of {} contexts do not fit", refused, contexts.size()),
                  "what does stands in the result; --memory-limit sets another limit");
  }

 private:
  ContextAnalysis plan(const store::ResolvedModel& resolved, const EngineOptions& wanted) const {
    Planner planner(resolved.path);
    const ModelPlan plan = planner.plan(wanted);
    const host::Limit limit = memory.value();
    ContextAnalysis analysis{.options = plan.options, .need = host::memory_need(plan)};
    analysis.fits = analysis.need.fits(limit.bytes);
    if (!analysis.fits)
      analysis.alternatives =
          host::nearest_configurations(planner, {.options = wanted, .limit = limit.bytes}, model);
    return analysis;
  }

  // Fills the context: a prompt of random tokens, and the last few one by one. False: stopped by Ctrl-C.
  bool measure(ContextAnalysis& analysis, const store::ResolvedModel& resolved, const ProcessMemory& before,
               const Interrupt& interrupt, const Console& console) const {
    EngineOptions options = analysis.options;
    options.ledger = Ledger::make(static_cast<std::uint64_t>(memory.value().bytes));
    tune::MemoryWatch watch(options.ledger, before);
    tune::Workload workload(resolved.path, options);
    ProgressBar bar(console.messages, stderr);
    const std::int64_t context = options.context, prompt = std::max<std::int64_t>(0, context - gen);
    for (std::int64_t fed = 0; fed < context;) {
      bar.show({.what = fmt::format("{} tokens", context),
                .done = static_cast<std::uint64_t>(fed),
                .total = static_cast<std::uint64_t>(context),
                .bytes = false});
      fed = fed < prompt ? std::min<std::int64_t>(fed + options.batch, prompt) : fed + 1;
      workload.feed(fed);
      if (interrupt.requested()) return false;
    }
    watch.stop();
    analysis.peak = watch.peak(), analysis.mean = watch.mean();
    analysis.samples = watch.samples();
    return true;
  }

  void print_json(const std::string& name, const std::vector<ContextAnalysis>& analyses,
                  const Console& console) const {
    boost::json::array array;
    for (const ContextAnalysis& a : analyses) array.push_back(to_json(a));
    console.write(
        to_line({{"model", name}, {"limit_bytes", memory.value().bytes}, {"contexts", std::move(array)}}));
  }

  void write_picture(AtomicFile& file, const tune::Plot& plotted) const {
    const std::string text = is_page(plot) ? tune::html(plotted) : tune::svg(plotted);
    file.write(std::as_bytes(std::span(text)));
    file.commit();
  }
};

}  // namespace

void add_analyze(CLI::App& program, const Console& console) {
  auto options = std::make_shared<AnalyzeCommand>();
  CLI::App* command =
      add_command(program, "analyze", "Measure the memory that a model takes, beside the plan",
                  "medlar analyze smollm2:135m --ctx 2048,8192 --plot memory.svg");
  command->add_option("model", options->model, "Which model")->type_name("MODEL")->required();
  options->engine.add_to(*command);
  command->remove_option(command->get_option("--ctx"));  // a list here
  command->add_option("-c,--ctx", options->contexts, "Contexts to fill, in tokens; 2048 if not given")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24).description(""));
  command->add_option("--gen", options->gen, "Tokens of each context that are written one by one")
      ->type_name("N")
      ->check(CLI::Range(0, 1 << 20).description(""))
      ->capture_default_str();
  command
      ->add_option("--plot", options->plot,
                   "Draw memory over time into FILE: .svg, or .html for the same in a page")
      ->type_name("FILE");
  command->add_flag("--json", options->json, "Print JSON");
  options->memory.add_to(*command);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
