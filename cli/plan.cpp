// medlar plan: whether a model fits a machine, and how fast it will be, before anything is loaded.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/json.h"
#include "cli/memory_limit.h"
#include "cli/models.h"
#include "cli/plan_report.h"
#include "cli/planned_model.h"
#include "cli/progress_bar.h"
#include "cli/units.h"
#include "host/calibration.h"
#include "host/speed_log.h"

namespace medlar::cli {
namespace {

// Of reading and of two kinds of products each.
constexpr double kThoroughSeconds = 20;

struct PlanCommand {
  std::string model, draft, machine;
  int parallel = 1;
  std::int64_t prompt = 512;
  bool json = false, calibrate = false;
  EngineFlags engine;
  MemoryFlag memory;

  void run(const Console& console) const {
    if (calibrate && !machine.empty())
      throw Error(ErrorKind::usage, "--calibrate measures this machine, and --machine names another",
                  "give one of them");
    if (model.empty() && !calibrate)
      throw Error(ErrorKind::usage, "there is no model to plan", "as in medlar plan smollm2:135m");
    if (calibrate) measure(console);
    if (model.empty()) return;
    const PlanReport report = plan();
    console.write(json ? to_line(to_json(report)) : to_text(report));
  }

 private:
  PlanReport plan() const {
    const PlannedModel what = planned_model(model);
    PlanReport r{.model = what.name,
                 .machine = machine.empty() ? host::this_machine() : host::parse_machine(machine),
                 .workload = {.prompt = prompt}};
    if (!what.note.empty()) r.notes.push_back(what.note);
    if (!r.machine.note.empty()) r.notes.push_back(r.machine.note);
    r.limit = {.bytes = static_cast<std::int64_t>(r.machine.limit_bytes), .reason = r.machine.limit_reason};
    if (!memory.limit.empty()) r.limit = memory.value();
    EngineOptions options = engine.options();
    options.sequences = parallel;
    if (options.threads == 0) options.threads = r.machine.threads;
    if (r.machine.chip) options.device = Device::cpu;  // what it needs there is the same on its GPU

    Planner planner(what.path);
    r.plan = planner.plan(options);
    const std::optional<ModelPlan> beside = plan_of_draft(r.plan.options);
    r.need = host::memory_need(r.plan, beside ? &*beside : nullptr);
    r.workload.batch = r.plan.options.batch;
    r.prediction = predict(r, planner);
    if (!r.fits())
      r.alternatives = host::nearest_configurations(
          planner, {.options = options, .limit = r.limit.bytes, .draft = r.need.draft}, model);
    return r;
  }

  // A draft model has a context of its own, as long as the other's.
  std::optional<ModelPlan> plan_of_draft(const EngineOptions& main) const {
    if (draft.empty()) return std::nullopt;
    EngineOptions options = engine.options();
    options.context = main.context;
    options.sequences = main.sequences;
    options.threads = main.threads;
    return Planner(planned_model(draft).path).plan(options);
  }

  // None where a device does not tell what it can do, which a note then says.
  std::optional<host::Prediction> predict(PlanReport& r, Planner& planner) const {
    if (r.machine.chip) return host::predict(r.plan.work, host::rates_of(*r.machine.chip), r.workload);
    const std::vector<std::optional<runtime::DeviceLimits>> limits = planner.measure_limits();
    std::vector<host::PartOnDevice> parts;
    for (std::size_t i = 0; i < limits.size(); ++i) {
      const ModelPlan::Part& part = r.plan.parts[i];
      if (part.device == Device::cpu) {
        parts.push_back(on_processor(part.work, r.plan.options.threads));
      } else if (limits[i]) {
        parts.push_back({.work = part.work, .rates = host::rates_of(*limits[i]), .correction = {}});
      } else {
        r.notes.push_back(
            fmt::format("{} does not tell what it can do, so no speed is predicted", part.name));
        return std::nullopt;
      }
    }
    return host::predict(parts, r.workload);
  }

  static host::PartOnDevice on_processor(const ModelWork& work, int threads) {
    const std::filesystem::path folder = open_store().options().root;
    const std::string identity = host::machine_identity(probe(), threads);
    return {.work = work,
            .rates = host::rates_of(host::known_calibration(folder, identity, threads)),
            .correction = host::correction(folder, identity)};
  }

  void measure(const Console& console) const {
    const HostInfo host = probe();
    const int threads = engine.threads > 0 ? engine.threads : host.default_threads();
    ProgressBar bar(console.messages, stderr);
    const host::Calibration c =
        host::calibrate({.threads = threads, .seconds = kThoroughSeconds, .progress = [&](double share) {
                           bar.show({.what = "measuring this machine",
                                     .done = static_cast<std::uint64_t>(share * 1000),
                                     .total = 1000,
                                     .bytes = false});
                         }});
    bar.clear();
    host::save_calibration(open_store().options().root, host::machine_identity(host, threads), c);
    console.message(fmt::format("{} threads read {}/s and multiply {:.0f} GFLOP/s, in f32 {:.0f}", threads,
                                format_bytes(static_cast<std::uint64_t>(c.read)), c.products / 1e9,
                                c.floats / 1e9));
  }
};

}  // namespace

void add_plan(CLI::App& program, const Console& console) {
  auto options = std::make_shared<PlanCommand>();
  CLI::App* command =
      add_command(program, "plan", "Tell whether a model fits a machine, and how fast it will be",
                  "medlar plan llama3.1:8b --ctx 16384 --machine \"MacBook Air M2 16GB\"");
  command
      ->add_option(
          "model", options->model,
          "Which model; it need not be here if the catalogue knows its shape, or it is a mere shape, "
          "synthetic:SHAPE:TYPE (see medlar synth)")
      ->type_name("MODEL");
  command->add_option("--machine", options->machine, "Another machine: a Mac's chip and memory")
      ->type_name("NAME");
  command->add_option("--parallel", options->parallel, "Requests that are answered together")
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""));
  command->add_option("--draft", options->draft, "A second, smaller model that runs beside it")
      ->type_name("MODEL");
  command->add_option("--prompt", options->prompt, "Tokens of the prompt that speeds are told for")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24).description(""))
      ->capture_default_str();
  command->add_flag("--calibrate", options->calibrate,
                    "Measure this machine first, for about a minute, and keep the result");
  command->add_flag("--json", options->json, "Print JSON");
  options->memory.add_to(*command);
  options->engine.add_to(*command);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
