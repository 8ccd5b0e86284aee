// medlar quantize: a model with fewer bits for each weight.
#include "quant/quantize.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/host.h"
#include "base/team.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/quantize_report.h"
#include "cli/synth_progress.h"
#include "quant/imatrix.h"
#include "quant/mix.h"

namespace medlar::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct QuantizeCommand {
  std::string input, output, type, imatrix;
  std::vector<std::string> tensor;
  int threads = 0;
  bool search = false, keep_split = false, json = false;

  void run(const Console& console) const {
    const quant::Mix& mix = quant::find_mix(type);
    std::vector<quant::TypeRule> rules;
    for (const std::string& text : tensor) rules.push_back(quant::TypeRule::parse(text));
    const gguf::File model = gguf::File::open(open_store().resolve(input).path);
    std::optional<quant::Imatrix> importance;
    if (!imatrix.empty()) importance = quant::Imatrix::read(std::filesystem::path(imatrix));
    QuantizeOutcome outcome{
        .input = input, .mix = std::string(mix.name), .model = &model, .types = {}, .written = {}};
    outcome.types = quant::choose_types(model.tensors(), quant::ModelFacts::of(model.metadata()), mix,
                                        {.has_imatrix = importance.has_value(), .rules = rules});
    for (const std::string& line : remarks(model, outcome.types)) console.message(line);
    write(outcome, {.imatrix = importance ? &*importance : nullptr,
                    .imatrix_name = imatrix,
                    .thorough = search || importance,
                    .keep_split = keep_split,
                    .file_type = mix.file_type,
                    .on_progress = synth_progress(console)});
    for (const std::string& name : outcome.written.without_importance)
      console.message(fmt::format("note: {} has no importance; its values count alike", visible(name)));
    console.write(json ? to_line(to_json(outcome)) : to_text(outcome));
  }

 private:
  void write(QuantizeOutcome& outcome, const quant::QuantizeOptions& options) const {
    std::vector<DType> types;
    for (const quant::TypeChoice& choice : outcome.types) types.push_back(choice.type);
    Team team({.threads = threads > 0 ? threads : probe().default_threads()});
    const Clock::time_point start = Clock::now();
    outcome.written = quant::quantize(*outcome.model, output, types, team, options);
    outcome.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  }
};

std::string mix_names() {
  std::vector<std::string_view> names;
  for (const quant::Mix& mix : quant::mixes()) names.push_back(mix.name);
  return fmt::format("{}", fmt::join(names, " "));
}

}  // namespace

void add_quantize(CLI::App& program, const Console& console) {
  auto options = std::make_shared<QuantizeCommand>();
  CLI::App* command =
      add_command(program, "quantize", "Write a model with fewer bits for each weight",
                  "medlar quantize model-f16.gguf model-q4_k_m.gguf Q4_K_M --imatrix imatrix.gguf");
  command->add_option("in", options->input, "The model")->required()->type_name("IN");
  command->add_option("out", options->output, "The file to write")->required()->type_name("OUT");
  command->add_option("type", options->type, fmt::format("The mix of types: {}", mix_names()))
      ->required()
      ->type_name("TYPE");
  command
      ->add_option("--imatrix", options->imatrix,
                   "How much each column counts, as medlar imatrix or llama-imatrix measured it")
      ->type_name("FILE");
  command
      ->add_option("--tensor", options->tensor,
                   "The type of tensors in whose name REGEX is found; may be given often, the first counts")
      ->type_name("REGEX=TYPE");
  command->add_flag("--search", options->search, "Search longer for each block; --imatrix does so, too");
  command->add_flag("--keep-split", options->keep_split, "Write as many files as the model has");
  command->add_option("-t,--threads", options->threads, "Threads; 0: one for each performance core")
      ->type_name("N");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
