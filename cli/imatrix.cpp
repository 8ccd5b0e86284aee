// medlar imatrix: how large the values are that each column of a model's weights is multiplied with.
#include "quant/imatrix.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/progress_bar.h"
#include "cli/scored_text.h"
#include "cli/tokens.h"
#include "quant/collect.h"

namespace medlar::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct ImatrixCommand {
  std::string model, file, output = "imatrix.gguf";
  std::vector<std::string> inputs;
  std::int64_t context = 512, chunks = 0, save_every = 10;
  int threads = 0;
  bool resume = false, json = false;

  void run(const Console& console) const {
    if (file.empty() && inputs.empty())
      throw Error(ErrorKind::usage, "there is no text", "give --file, or --in to merge files");
    if (!file.empty() && model.empty())
      throw Error(ErrorKind::usage, "there is no model", "name one before --file");
    quant::Imatrix all;
    for (const std::string& input : inputs) all.merge(quant::Imatrix::read(std::filesystem::path(input)));
    const bool complete = file.empty() || read(all, console);
    all.write(output);
    const auto text =
        fmt::format("wrote {}: {} tensors, {} windows", visible(output), all.entries.size(), all.chunks);
    console.write(json ? to_line({{"path", output},
                                  {"entries", all.entries.size()},
                                  {"chunks", all.chunks},
                                  {"chunk_size", all.chunk_size},
                                  {"complete", complete}})
                       : text + "\n");
  }

 private:
  // False: stopped by Ctrl-C.
  bool read(quant::Imatrix& all, const Console& console) const {
    const std::filesystem::path path = open_store().resolve(model).path;
    const eval::Windows windows = cut(path);
    const std::int64_t first = resume && std::filesystem::exists(output) ? take_up(all) : 0;
    all.chunk_size = context;
    if (std::ranges::find(all.datasets, file) == all.datasets.end()) all.datasets.push_back(file);
    EngineOptions engine_options;
    engine_options.threads = threads;
    const auto engine = Engine::load(path, quant::collecting(engine_options, windows));
    const gguf::File weights = gguf::File::open(path);
    const Interrupt interrupt;
    ProgressBar bar(console.messages, stderr);
    const Clock::time_point start = Clock::now();
    const auto on_window = [&](std::int64_t done) {
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      bar.show({.what = "reading",
                .done = static_cast<std::uint64_t>(done),
                .total = static_cast<std::uint64_t>(windows.count()),
                .seconds_left =
                    seconds / static_cast<double>(done - first) * static_cast<double>(windows.count() - done),
                .bytes = false});
      if (done < windows.count() && done % save_every == 0) all.write(output);
    };
    const bool complete =
        quant::collect(*engine, weights, windows, all,
                       {.first = first, .cancel = &interrupt.flag(), .on_window = on_window});
    bar.clear();
    if (!complete && all.entries.empty())
      throw Error(ErrorKind::cancelled, "stopped by Ctrl-C before the first window was read",
                  "a smaller --ctx gives a first result sooner");
    if (!complete)
      console.message(fmt::format("note: stopped by Ctrl-C; --resume goes on from {}", visible(output)));
    return complete;
  }

  eval::Windows cut(const std::filesystem::path& path) const {
    const text::Tokenizer tokenizer = load_tokenizer(path);
    const text::TokenId bos = tokenizer.adds_bos() ? tokenizer.special().bos : text::kNoToken;
    return {tokenizer.encode(read_text(file)), bos, {.context = context, .most = chunks}};
  }

  // Windows that the output has of this text already.
  std::int64_t take_up(quant::Imatrix& all) const {
    quant::Imatrix before = quant::Imatrix::read(std::filesystem::path(output));
    const std::string made_with =
        before.chunk_size != context ? fmt::format("windows of {} tokens, not {}", before.chunk_size, context)
        : before.datasets != std::vector{file} ? "another text, or several"
                                               : "";
    if (!made_with.empty())
      throw Error(ErrorKind::usage, fmt::format("{}: made with {}", visible(output), made_with),
                  "leave --resume out to begin anew, or merge files with --in");
    all = std::move(before);
    return all.chunks;
  }
};

}  // namespace

void add_imatrix(CLI::App& program, const Console& console) {
  auto options = std::make_shared<ImatrixCommand>();
  CLI::App* command =
      add_command(program, "imatrix", "Measure how much each column of a model's weights counts",
                  "medlar imatrix model-f16.gguf -f calibration.txt -o imatrix.gguf");
  command->add_option("model", options->model, "Which model")->type_name("MODEL");
  command->add_option("-f,--file", options->file, "The text; - for standard input")->type_name("FILE");
  command->add_option("-o,--output", options->output, "The file to write; imatrix.gguf if not given")
      ->type_name("FILE");
  CLI::Option* in =
      command->add_option("--in", options->inputs, "Add what this file holds; may be given often");
  in->type_name("FILE")->allow_extra_args(false);
  command->add_option("--chunks", options->chunks, "Windows to read at most; all if not given")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  command->add_option("-c,--ctx", options->context, "Tokens of a window; 512 if not given")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  command->add_flag("--resume", options->resume, "Go on where the output file ends")->excludes(in);
  command->add_option("--save-every", options->save_every, "Windows between two savings; 10 if not given")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  command->add_option("-t,--threads", options->threads, "Threads; 0: one for each performance core")
      ->type_name("N");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
