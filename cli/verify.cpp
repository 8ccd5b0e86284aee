// medlar verify: hash a model's files again and fetch damaged ones anew.
#include <memory>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"

namespace medlar::cli {
namespace {

struct VerifyCommand {
  std::string model;
  bool json = false, repair = true;

  void run(const Console& console) const {
    const Interrupt interrupt;
    const store::VerifyReport report = open_store().verify(
        model, {.progress = progress_on(console), .cancel = &interrupt.flag(), .repair = repair});
    boost::json::array files;
    for (const store::VerifyReport::File& file : report.files) {
      files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"state", store::name(file.state)}});
      if (!json) console.write(fmt::format("{}: {}\n", visible(file.name), store::name(file.state)));
    }
    if (json) console.write(to_line({{"good", report.good()}, {"files", files}}));
    if (!report.good())
      throw Error(ErrorKind::bad_file, fmt::format("{}: damaged or missing files", model),
                  fmt::format("medlar pull {} gets them again", model));
  }
};

}  // namespace

void add_verify(CLI::App& program, const Console& console) {
  auto options = std::make_shared<VerifyCommand>();
  CLI::App* command = add_command(program, "verify", "Check a model's files and fetch damaged ones again",
                                  "medlar verify smollm2:135m");
  command->add_option("model", options->model, "What to check")->required()->type_name("MODEL");
  command->add_flag("!--no-repair", options->repair, "Only report");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
