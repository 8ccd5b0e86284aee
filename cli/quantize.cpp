// medlar quantize: a model with fewer bits for each weight.
#include "quant/quantize.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/host.h"
#include "base/team.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/progress_bar.h"
#include "cli/quantize_report.h"
#include "cli/scored_text.h"
#include "cli/synth_progress.h"
#include "cli/tokens.h"
#include "cli/units.h"
#include "quant/imatrix.h"
#include "quant/mix.h"
#include "quant/target.h"

namespace medlar::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct QuantizeCommand {
  std::string input, output, type, imatrix, file, target_size;
  std::vector<std::string> tensor;
  std::optional<double> target_bits, max_kl;
  std::int64_t context = 512, chunks = 4;
  int threads = 0;
  bool search = false, keep_split = false, json = false;

  void run(const Console& console) const {
    const std::optional<quant::Mix> mix = mix_if_fixed();
    std::vector<quant::TypeRule> rules;
    for (const std::string& text : tensor) rules.push_back(quant::TypeRule::parse(text));
    const std::filesystem::path path = open_store().resolve(input).path;
    const gguf::File model = gguf::File::open(path);
    std::optional<quant::Imatrix> importance;
    if (!imatrix.empty()) importance = quant::Imatrix::read(std::filesystem::path(imatrix));
    const quant::Imatrix* weights = importance ? &*importance : nullptr;
    const auto team =
        std::make_shared<Team>(TeamOptions{.threads = threads > 0 ? threads : probe().default_threads()});
    QuantizeOutcome outcome{.input = input, .model = &model};
    if (mix) {
      outcome.mix = mix->name;
      outcome.types = quant::choose_types(model.tensors(), quant::ModelFacts::of(model.metadata()), *mix,
                                          {.has_imatrix = importance.has_value(), .rules = rules});
    } else {
      choose(outcome, path, {.imatrix = weights, .rules = rules, .measure = {.team = team}}, console);
    }
    for (const std::string& line : remarks(model, outcome.types)) console.message(line);
    write(outcome, *team,
          {.imatrix = weights,
           .imatrix_name = imatrix,
           .thorough = search || weights,
           .keep_split = keep_split,
           .file_type = mix ? mix->file_type : quant::file_type_of(model, outcome.types),
           .on_progress = synth_progress(console)});
    for (const std::string& name : outcome.written.without_importance)
      console.message(fmt::format("note: {} has no importance; its values count alike", visible(name)));
    console.write(json ? to_line(to_json(outcome)) : to_text(outcome));
  }

 private:
  // None where a target decides.
  std::optional<quant::Mix> mix_if_fixed() const {
    const int targets = (target_bits ? 1 : 0) + (max_kl ? 1 : 0) + (target_size.empty() ? 0 : 1);
    if (targets == 0 && type.empty())
      throw Error(ErrorKind::usage, "there is no type",
                  "name one behind OUT, or give a target such as --target-bpw");
    if (targets == 0) return quant::find_mix(type);
    if (targets > 1 || (!type.empty() && type != "auto"))
      throw Error(ErrorKind::usage, "a type and a target, or two targets, contradict each other",
                  "leave one out");
    if (file.empty()) throw Error(ErrorKind::usage, "there is no text to measure with", "give --file");
    return std::nullopt;
  }

  void choose(QuantizeOutcome& outcome, const std::filesystem::path& path, quant::TargetOptions options,
              const Console& console) const {
    const text::Tokenizer tokenizer = load_tokenizer(path);
    const text::TokenId bos = tokenizer.adds_bos() ? tokenizer.special().bos : text::kNoToken;
    const eval::Windows windows(tokenizer.encode(read_text(file)), bos, {.context = context, .most = chunks});
    const Interrupt interrupt;
    ProgressBar bar(console.messages, stderr);
    options.measure.cancel = &interrupt.flag();
    options.measure.on_measured = [&](std::int64_t done, std::int64_t total) {
      bar.show({.what = "measuring tensors",
                .done = static_cast<std::uint64_t>(done),
                .total = static_cast<std::uint64_t>(total),
                .bytes = false});
    };
    std::optional<std::uint64_t> bytes;
    if (!target_size.empty()) bytes = static_cast<std::uint64_t>(parse_bytes("--target-size", target_size));
    std::filesystem::path scratch = output;
    scratch += ".measuring";
    quant::TargetResult result = quant::choose_for(
        *outcome.model, {.bits = target_bits, .bytes = bytes, .kl = max_kl}, windows, scratch, options);
    outcome.mix = "auto";
    outcome.types = std::move(result.types);
    outcome.predicted_kl = result.predicted_kl, outcome.measured_kl = result.measured_kl;
  }

  void write(QuantizeOutcome& outcome, Team& team, const quant::QuantizeOptions& options) const {
    std::vector<DType> types;
    for (const quant::TypeChoice& choice : outcome.types) types.push_back(choice.type);
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
  command
      ->add_option("type", options->type,
                   fmt::format("The mix of types: {}; left out with a target", mix_names()))
      ->type_name("TYPE");
  command
      ->add_option("--imatrix", options->imatrix,
                   "How much each column counts, as medlar imatrix or llama-imatrix measured it")
      ->type_name("FILE");
  command
      ->add_option("--tensor", options->tensor,
                   "The type of tensors in whose name REGEX is found; may be given often, the first counts")
      ->type_name("REGEX=TYPE")
      ->allow_extra_args(false);
  command->add_option("-f,--file", options->file, "The text that a target is measured with")
      ->type_name("FILE");
  command
      ->add_option("--target-bpw", options->target_bits,
                   "Choose types: so many bits for a weight, on average")
      ->type_name("X")
      ->check(CLI::PositiveNumber.description(""));
  command
      ->add_option("--target-size", options->target_size,
                   "Choose types: a file of at most this size, as in 4.2G")
      ->type_name("SIZE");
  command
      ->add_option("--max-kl", options->max_kl,
                   "Choose types: the smallest file with a mean divergence of at most X nats")
      ->type_name("X")
      ->check(CLI::PositiveNumber.description(""));
  command->add_option("--chunks", options->chunks, "Windows of the text to measure with; 4 if not given")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  command->add_option("-c,--ctx", options->context, "Tokens of a window; 512 if not given")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  command->add_flag("--search", options->search, "Search longer for each block; --imatrix does so, too");
  command->add_flag("--keep-split", options->keep_split, "Write as many files as the model has");
  command->add_option("-t,--threads", options->threads, "Threads; 0: one for each performance core")
      ->type_name("N");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
