// medlar tune: the settings with which a model is the fastest on this machine.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/ledger.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/memory_limit.h"
#include "cli/models.h"
#include "cli/progress_bar.h"
#include "cli/tune_report.h"
#include "cli/tuned_flag.h"
#include "formats/all.h"
#include "host/memory.h"
#include "host/tuned.h"
#include "tune/statistics.h"

namespace medlar::cli {
namespace {

constexpr int kBatches[] = {128, 256, 512, 1024, 2048};

// A file that is told of before anything is measured if it cannot be written.
std::optional<AtomicFile> begin_file(const std::string& path) {
  return path.empty() ? std::nullopt : std::optional<AtomicFile>(path);
}

void finish_file(std::optional<AtomicFile>& file, const std::string& text) {
  if (!file) return;
  file->write(std::as_bytes(std::span(text)));
  file->commit();
}

std::string now() {
  const std::time_t time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(time));
}

struct TuneCommand {
  std::string model, export_file, script_file;
  std::string device = "auto";
  std::vector<int> threads, batches, gpu_layers;
  std::vector<std::string> kv_types;
  std::int64_t context = 0;
  tune::Request request;
  bool json = false, list = false, forget = false;
  MemoryFlag memory;

  void run(const Console& console) const {
    const std::filesystem::path folder = open_store().options().root;
    if (list) return print_list(folder, console);
    if (model.empty())
      throw Error(ErrorKind::usage, "there is no model to tune", "as in medlar tune smollm2:135m");
    if (forget) return forget_model(folder, console);
    if (request.prompt + request.gen == 0)
      throw Error(ErrorKind::usage, "there is nothing to be fast at",
                  "give --prompt or --gen a number above 0");
    for (const std::string& name : kv_types) kv_type("--kv-types", name);
    parse_device(device);
    const store::ResolvedModel resolved = open_store().resolve(model);
    std::optional<AtomicFile> exported = begin_file(export_file), script = begin_file(script_file);
    host::TunedStore kept(folder, Logger::to_stderr(LogLevel::warning));
    TuneReport report = measure(resolved, console);
    keep(report, kept);
    const std::string document = to_line(to_json(report));
    finish_file(exported, document);
    finish_file(script, launch_script(report));
    if (script)
      std::filesystem::permissions(script_file,
                                   std::filesystem::perms::owner_exec | std::filesystem::perms::group_exec,
                                   std::filesystem::perm_options::add);
    console.write(json ? document : to_text(report));
  }

 private:
  TuneReport measure(const store::ResolvedModel& resolved, const Console& console) const {
    const host::Limit limit = memory.value();
    const Device asked = parse_device(device);
    host::Admission admission =
        host::admit({.path = resolved.path,
                     .reference = model,
                     .options = {.context = context, .device = asked, .kernel_cache = kernel_cache()},
                     .limit = limit});
    if (!admission.note.empty()) tell(console, admission.note);
    const ModelPlan plan = admission.model.plan(admission.options);
    const std::optional<Device> gpu = gpu_of(admission.model, asked);
    const HostInfo machine = probe();
    TuneReport report{
        .model = resolved.name,
        .reference = resolved.in_use.empty() ? std::filesystem::absolute(resolved.path).string() : model,
        .machine = machine.cpu,
        .machine_key = host::tuned_machine(machine),
        .model_key = host::tuned_model(admission.model.description()),
        .request = request,
        .defaults = {.threads = plan.options.threads,
                     .batch = plan.options.batch,
                     .kv_type = admission.options.k_type},
        .asked = asked,
        .device = host::tuned_device(admission.model, asked),
        .gpu = gpu,
        .gpu_layers = *plan.options.gpu_layers,
        .context = plan.options.context,
        .k_type = *plan.options.k_type,
        .v_type = *plan.options.v_type};
    check_room(plan);
    const auto options_of = [&](const tune::Settings& s) {
      EngineOptions o = admission.options;
      o.threads = s.threads, o.batch = s.batch, o.k_type = o.v_type = s.kv_type;
      return s.gpu_layers ? with_layers(std::move(o), *s.gpu_layers, gpu) : o;
    };
    ProgressBar bar(console.messages, stderr);
    const Interrupt interrupt;
    tune::SearchTask task{.defaults = report.defaults, .choices = choices(plan, admission)};
    task.choices.gpu_layers = layer_choices(plan, admission, gpu);
    task.uses_threads = [&](const tune::Settings& s) {
      return s.gpu_layers.value_or(report.gpu_layers) < plan.work.layers;
    };
    task.measure = [&](const tune::Settings& s) {
      EngineOptions o = options_of(s);
      o.ledger = Ledger::make(static_cast<std::uint64_t>(limit.bytes));
      return tune::time_request(resolved.path, o, request, &interrupt.flag());
    };
    task.fits = [&](const tune::Settings& s) {
      return host::memory_need(admission.model.plan(options_of(s))).fits(limit.bytes);
    };
    task.progress = [&](const tune::Settings& s, int done, int most) {
      bar.show({.what = settings_text(s),
                .done = static_cast<std::uint64_t>(done),
                .total = static_cast<std::uint64_t>(most),
                .bytes = false});
    };
    report.result = tune::search(task);
    return report;
  }

  // A request longer than the context could not be answered either.
  void check_room(const ModelPlan& plan) const {
    if (request.prompt + request.gen > plan.options.context)
      throw Error(ErrorKind::usage,
                  fmt::format("a request of {} and {} tokens does not fit the context of {}", request.prompt,
                              request.gen, plan.options.context),
                  "give a smaller --prompt or --gen");
  }

  tune::Choices choices(const ModelPlan& plan, host::Admission& admission) const {
    tune::Choices c{.threads = threads, .batches = batches};
    const std::int64_t most = std::min(request.prompt, plan.options.context);
    if (c.batches.empty())
      for (const int batch : kBatches)
        if (batch <= most) c.batches.push_back(batch);
    std::erase_if(c.batches, [&](int batch) { return batch > plan.options.context; });
    for (const std::string& name : kv_types) {
      c.kv_types.push_back(kv_type("--kv-types", name));
      EngineOptions o = admission.options;
      o.k_type = o.v_type = c.kv_types.back();
      admission.model.plan(o);  // throws for a type that does not suit the model, before anything is measured
    }
    // Without the user's word nothing is taken that keeps less of keys and values than the default.
    const auto bits = [](DType type) { return format_info(type).bits_per_weight(); };
    if (kv_types.empty() && bits(DType::f16) > bits(*plan.options.k_type)) c.kv_types.push_back(DType::f16);
    // By its name, the default is itself.
    std::erase_if(c.kv_types, [&](const std::optional<DType>& type) {
      return type == plan.options.k_type && type == plan.options.v_type;
    });
    return c;
  }

  // What of `asked` can have layers of the model; none: nothing, or nothing is here.
  static std::optional<Device> gpu_of(Planner& planner, Device asked) {
    const Device first = planner.choices({.device = asked}).front().device;
    return first == Device::cpu ? std::nullopt : std::optional(first);
  }

  // With none, all of the model is on the processor.
  static EngineOptions with_layers(EngineOptions o, int layers, std::optional<Device> gpu) {
    o.device = layers > 0 ? gpu.value() : Device::cpu;
    o.gpu_layers = layers, o.gpus = 0;
    return o;
  }

  // Numbers of layers on the GPU beside the defaults' own: all, as many as fit, none, unless they were named.
  std::vector<int> layer_choices(const ModelPlan& plan, host::Admission& admission,
                                 std::optional<Device> gpu) const {
    const auto all = static_cast<int>(plan.work.layers);
    std::vector<int> layers;
    for (const int named : gpu_layers) layers.push_back(std::min(named, all));
    if (!gpu) {
      if (std::ranges::any_of(layers, [](int n) { return n > 0; }))
        throw Error(ErrorKind::device, "--gpu-layers: there is no GPU that could have layers",
                    "leave it out, or name a --device; medlar doctor says what there is");
      return {};
    }
    if (gpu_layers.empty()) {
      layers = {all, 0};
      EngineOptions fitting = with_layers(admission.options, all, gpu);
      fitting.gpu_layers = kFittingLayers;
      if (const auto there = planned(admission.model, fitting))
        layers.insert(layers.begin() + 1, *there->options.gpu_layers);
      // A model that cannot be apart is on one device as a whole.
      std::erase_if(layers,
                    [&](int n) { return !planned(admission.model, with_layers(admission.options, n, gpu)); });
    }
    for (const int n : gpu_layers)  // throws for what cannot be, before anything is measured
      admission.model.plan(with_layers(admission.options, std::min(n, all), gpu));
    std::erase(layers, *plan.options.gpu_layers);
    return layers;
  }

  // None where the model cannot be so.
  static std::optional<ModelPlan> planned(Planner& planner, const EngineOptions& options) {
    try {
      return planner.plan(options);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::unsupported) throw;
      return std::nullopt;
    }
  }

  static void tell(const Console& console, const std::string& what) {
    console.message(styled(console.messages, Style::dim, "note: " + visible(what)));
  }

  // What was found before makes way, unless the search was stopped without a find.
  static void keep(TuneReport& report, host::TunedStore& kept) {
    if (report.gained()) {
      const std::vector<double>& ratios = report.result.ratios;
      kept.put({.machine = report.machine_key,
                .model = report.model_key,
                .device = report.device,
                .name = report.model,
                .settings = report.result.best,
                .created = now(),
                .gain = ratios.empty() ? 1 : tune::summarize(ratios).median});
      report.kept = true;
    } else if (report.result.complete) {
      kept.forget(report.machine_key, report.model_key, report.device);
    }
  }

  static std::vector<host::TunedEntry> entries(const std::filesystem::path& folder) {
    if (!host::has_tuned(folder)) return {};
    return host::TunedStore(folder).list();
  }

  void print_list(const std::filesystem::path& folder, const Console& console) const {
    boost::json::array array;
    std::string text;
    for (const host::TunedEntry& e : entries(folder)) {
      const std::string_view type = e.settings.kv_type ? format_info(*e.settings.kv_type).name : "";
      array.push_back({{"model", e.name},
                       {"machine_key", e.machine},
                       {"model_key", e.model},
                       {"device", to_string(e.device)},
                       {"threads", e.settings.threads},
                       {"batch", e.settings.batch},
                       {"kv_type", type},
                       {"gpu_layers", e.settings.gpu_layers ? boost::json::value(*e.settings.gpu_layers)
                                                            : boost::json::value(nullptr)},
                       {"gain", e.gain},
                       {"created", e.created}});
      text +=
          visible(fmt::format("{}: {}; {:.2f} times as fast, {}, on device {} of {}\n", e.name,
                              settings_text(e.settings), e.gain, e.created, to_string(e.device), e.machine));
    }
    console.write(json ? to_line(array) : text);
  }

  // A model that is no longer here is known by its name.
  void forget_model(const std::filesystem::path& folder, const Console& console) const {
    std::string key;
    try {
      key = host::tuned_model(describe(open_store().resolve(model).path));
    } catch (const Error&) {
    }
    int count = 0;
    for (const host::TunedEntry& e : entries(folder)) {
      if (e.model != key && e.name != model) continue;
      if (host::TunedStore(folder).forget(e.machine, e.model, e.device)) ++count;
    }
    if (count == 0)
      throw Error(ErrorKind::not_found, fmt::format("nothing is kept for {}", printable(model)),
                  "medlar tune --list shows what is");
    console.message(fmt::format("forgotten: {}", visible(model)));
  }
};

void add_choices(CLI::App& command, TuneCommand& o) {
  const std::string group = "What to try";
  command
      .add_option("-t,--threads", o.threads,
                  "Threads to try; those from one for each performance core down, as far as fewer are "
                  "faster, if not given")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096).description(""))
      ->group(group);
  command
      .add_option("-b,--batch-size", o.batches,
                  "Tokens read at once to try; 128 to 2048, no more than the prompt has, if not given")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20).description(""))
      ->group(group);
  command.add_option("--device", o.device, "Where to run; what is found is used where the same is asked for")
      ->type_name("auto|cpu|cuda|metal|emulator")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--gpu-layers", o.gpu_layers,
                  "Layers on the GPU to try; all, as many as there is room for, and none, if not given")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber.description(""))
      ->group(group);
  command
      .add_option("--kv-types", o.kv_types,
                  "Types of cached keys and values to try; if not given the default and f16: nothing coarser "
                  "is taken unless it is named")
      ->type_name("TYPE,...")
      ->delimiter(',')
      ->group(group);
}

void add_request(CLI::App& command, TuneCommand& o) {
  const std::string group = "What to be fast at";
  const auto count = [&](const char* name, std::int64_t& value, const char* about) {
    command.add_option(name, value, about)
        ->type_name("N")
        ->check(CLI::Range(0, 1 << 20).description(""))
        ->capture_default_str()
        ->group(group);
  };
  count("--prompt", o.request.prompt, "Tokens of the request's prompt");
  count("--gen", o.request.gen, "Tokens of its answer");
  command
      .add_option(
          "-c,--ctx", o.context,
          "Tokens the context is to hold: what needs more memory then is not tried; 0: as for medlar run")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""))
      ->group(group);
}

}  // namespace

void add_tune(CLI::App& program, const Console& console) {
  auto options = std::make_shared<TuneCommand>();
  CLI::App* command =
      add_command(program, "tune", "Find the settings with which a model is fastest here, and keep them",
                  "medlar tune smollm2:135m --prompt 1024 --gen 256");
  command->add_option("model", options->model, "Which model")->type_name("MODEL");
  command->add_option("--export", options->export_file, "Write what was found to FILE as JSON")
      ->type_name("FILE");
  command
      ->add_option("--script", options->script_file,
                   "Write a script to FILE that runs, chats with or serves the model so")
      ->type_name("FILE");
  command->add_flag("--list", options->list, "Show what is kept, and measure nothing");
  command->add_flag("--forget", options->forget, "Forget what is kept for the model");
  command->add_flag("--json", options->json, "Print JSON");
  add_request(*command, *options);
  add_choices(*command, *options);
  options->memory.add_to(*command);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
