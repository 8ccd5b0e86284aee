// medlar synth: a model of a real shape with random weights.
#include "tune/synth.h"

#include <filesystem>
#include <memory>

#include <fmt/ranges.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/synth_progress.h"
#include "cli/units.h"

namespace medlar::cli {
namespace {

struct SynthCommand {
  std::string model, out;
  std::uint64_t seed = 1;
  bool json = false;

  void run(const Console& console) const {
    const tune::SynthModel what = tune::parse_synth(model);
    tune::synthesize(out, what, {.seed = seed, .progress = synth_progress(console)});
    const std::uint64_t bytes = std::filesystem::file_size(out);
    if (json) {
      console.write(to_line({{"path", out}, {"bytes", bytes}, {"seed", seed}}));
    } else {
      console.message(fmt::format("wrote {}: {}", visible(out), format_bytes(bytes)));
    }
  }
};

template <class Entries>
std::string names(const Entries& entries) {
  std::vector<std::string_view> all;
  for (const auto& e : entries) all.push_back(e.name);
  return fmt::format("{}", fmt::join(all, " "));
}

}  // namespace

void add_synth(CLI::App& program, const Console& console) {
  auto options = std::make_shared<SynthCommand>();
  CLI::App* command =
      add_command(program, "synth", "Write a model of a real shape with random weights, for measuring speed",
                  "medlar synth llama-1b:q4_k_m llama-1b.gguf");
  command
      ->add_option("model", options->model,
                   fmt::format("The shape ({}) and the type ({})", names(tune::synth_shapes()),
                               names(tune::synth_mixes())))
      ->required()
      ->type_name("SHAPE:TYPE");
  command->add_option("out", options->out, "The file to write")->required()->type_name("OUT");
  command->add_option("--seed", options->seed, "Of the random numbers; 1 if not given")->type_name("N");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
