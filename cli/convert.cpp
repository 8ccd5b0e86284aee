// medlar convert: a model as Hugging Face has it, written as one GGUF file.
#include "huggingface/convert.h"

#include <filesystem>
#include <memory>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/host.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/synth_progress.h"
#include "cli/units.h"
#include "formats/all.h"

namespace medlar::cli {
namespace {

std::string type_names() {
  std::vector<std::string_view> names;
  formats::for_each_format([&]<formats::Format F>(F) { names.push_back(F::info.name); });
  return fmt::format("{}", fmt::join(names, " "));
}

struct ConvertCommand {
  std::string folder, out, type;
  int threads = 0;
  bool json = false;

  void run(const Console& console) const {
    std::error_code error;
    if (!std::filesystem::is_directory(folder, error))
      throw Error(ErrorKind::usage, fmt::format("{}: is no folder", folder),
                  "give the folder of a model as it is published, with config.json and its weights");
    huggingface::ConvertOptions options{.threads = threads > 0 ? threads : probe().default_threads(),
                                        .progress = synth_progress(console)};
    if (!type.empty()) options.type = matrix_type();
    const huggingface::View view = huggingface::read_view(folder);
    const huggingface::ConvertReport report = huggingface::convert(view, out, options);
    options.progress = nullptr;
    print(console, view, report);
  }

 private:
  DType matrix_type() const {
    const std::optional<DType> found = parse_dtype(type);
    bool is_weight = false;
    formats::for_each_format([&]<formats::Format F>(F) { is_weight |= found == F::info.type; });
    if (!is_weight)
      throw Error(ErrorKind::usage, fmt::format("\"{}\" is no type of weights", type),
                  "choose one of " + type_names());
    return *found;
  }

  static boost::json::array as_json(const std::vector<std::string>& names) {
    return boost::json::array(names.begin(), names.end());
  }

  void print(const Console& console, const huggingface::View& view,
             const huggingface::ConvertReport& report) const {
    const std::uint64_t bytes = std::filesystem::file_size(out);
    const std::string_view name = format_info(report.type).name;
    if (json)
      return console.write(to_line({{"path", out},
                                    {"architecture", view.family->architecture},
                                    {"type", name},
                                    {"tensors", report.tensors},
                                    {"bytes", bytes},
                                    {"fallback", as_json(report.fallback)},
                                    {"rounded", as_json(report.rounded)}}));
    const auto note = [&](const std::vector<std::string>& matrices, std::string_view why) {
      if (!matrices.empty())
        console.message(fmt::format("note: {} matrices are f16, {}: {}", matrices.size(), why,
                                    visible(matrices.front())));
    };
    note(report.fallback, fmt::format("as their rows are no whole blocks of {}", name));
    note(report.rounded, "which rounds what they were quantized to, as no type holds it exactly");
    console.message(fmt::format("wrote {}: {}, {} tensors, {}", visible(out), view.family->architecture,
                                report.tensors, format_bytes(bytes)));
  }
};

}  // namespace

void add_convert(CLI::App& program, const Console& console) {
  auto options = std::make_shared<ConvertCommand>();
  CLI::App* command = add_command(program, "convert", "Write a Hugging Face folder as one GGUF file",
                                  "medlar convert ./Qwen3-0.6B -o qwen3.gguf --type q8_0");
  command->add_option("folder", options->folder, "The model's folder, with config.json and its weights")
      ->required()
      ->type_name("DIR");
  command->add_option("-o,--output", options->out, "The file to write")->required()->type_name("FILE");
  command
      ->add_option("--type", options->type,
                   fmt::format("Of all matrices ({}); as they are if not given", type_names()))
      ->type_name("TYPE");
  command->add_option("-t,--threads", options->threads, "Threads; 0: one for each performance core")
      ->type_name("N");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
