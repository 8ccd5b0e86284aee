// medlar show: what a model file says about itself, and what running it takes.
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/units.h"
#include "engine/plan.h"
#include "formats/all.h"

namespace medlar::cli {
namespace {

// Of an engine with those options, or why there can be none.
struct Estimate {
  std::optional<runtime::MemoryPlan> plan;
  std::int64_t context = 0;
  std::string problem;
};

Estimate estimate(const std::filesystem::path& path, const EngineOptions& options) {
  try {
    const ModelPlan plan = Planner(path).plan(options);
    return {.plan = plan.memory, .context = plan.options.context};
  } catch (const Error& e) {
    return {.problem = e.what()};
  }
}

struct ShowCommand {
  std::string model;
  bool json = false, show_template = false;
  EngineFlags engine;

  void run(const Console& console) const {
    store::Store store = open_store();
    const store::ResolvedModel resolved = store.resolve(model);
    const ModelDescription description = describe(resolved.path);
    if (show_template) return console.write_foreign(description.chat_template);
    const Estimate memory = estimate(resolved.path, engine.options());
    if (json) {
      console.write(to_line(as_json(resolved, description, memory)));
    } else {
      print(resolved, description, memory, console);
    }
  }

  static boost::json::object as_json(const store::ResolvedModel& resolved, const ModelDescription& d,
                                     const Estimate& memory) {
    boost::json::object types;
    for (const auto& [type, tensors, bytes] : d.types)
      types[format_info(type).name] = {{"tensors", tensors}, {"bytes", bytes}};
    boost::json::object result{{"name", resolved.name},
                               {"path", resolved.path.string()},
                               {"title", d.name},
                               {"architecture", d.architecture},
                               {"parameters", d.parameters},
                               {"bytes", d.file_bytes},
                               {"layers", d.layers},
                               {"dim", d.dim},
                               {"heads", d.heads},
                               {"kv_heads", d.kv_heads},
                               {"head_dim", d.head_dim},
                               {"vocab", d.vocab},
                               {"trained_context", d.trained_context},
                               {"types", std::move(types)},
                               {"chat_template", d.chat_template}};
    if (memory.plan) {
      result["memory"] = {{"context", memory.context},
                          {"weights_mapped", memory.plan->weights},
                          {"kv", memory.plan->kv},
                          {"activations", memory.plan->activations},
                          {"scratch", memory.plan->scratch}};
    } else {
      result["problem"] = memory.problem;
    }
    return result;
  }

  static void print(const store::ResolvedModel& resolved, const ModelDescription& d, const Estimate& memory,
                    const Console& console) {
    const auto line = [&](std::string_view key, std::string_view value) {
      console.write(fmt::format("{:<14} {}\n", key, visible(printable(value, 4096))));
    };
    line("name", resolved.name);
    line("title", d.name);
    line("file", resolved.path.string());
    line("architecture", fmt::format("{}, {} layers of {}, {} heads of {} ({} for keys and values)",
                                     d.architecture, d.layers, d.dim, d.heads, d.head_dim, d.kv_heads));
    line("parameters", format_parameters(d.parameters));
    line("vocabulary", fmt::format("{} tokens", d.vocab));
    line("context", fmt::format("trained for {} tokens", d.trained_context));
    std::string mix;
    for (const auto& [type, tensors, bytes] : d.types)
      mix += fmt::format("{}{} {:.0f}%", mix.empty() ? "" : ", ", format_info(type).name,
                         100.0 * static_cast<double>(bytes) / static_cast<double>(d.file_bytes));
    line("weights", fmt::format("{}: {}", format_bytes(static_cast<std::uint64_t>(d.file_bytes)), mix));
    line("chat template",
         d.chat_template.empty() ? "none" : fmt::format("{} bytes, see --template", d.chat_template.size()));
    if (!memory.plan) return line("cannot run", memory.problem);
    const auto bytes = [](std::int64_t count) { return format_bytes(static_cast<std::uint64_t>(count)); };
    line("memory", fmt::format("{} mapped weights + up to {} KV cache for {} tokens + {} working memory",
                               bytes(memory.plan->weights), bytes(memory.plan->kv), memory.context,
                               bytes(memory.plan->activations + memory.plan->scratch)));
  }
};

}  // namespace

void add_show(CLI::App& program, const Console& console) {
  auto options = std::make_shared<ShowCommand>();
  CLI::App* command = add_command(program, "show", "Describe a model and the memory it takes",
                                  "medlar show smollm2:135m --ctx 4096");
  command->add_option("model", options->model, "Which model")->required()->type_name("MODEL");
  command->add_flag("--template", options->show_template, "Print only the chat template");
  command->add_flag("--json", options->json, "Print JSON");
  options->engine.add_to(*command);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
