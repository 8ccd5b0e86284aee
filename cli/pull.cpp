// medlar pull: make a model present.
#include <memory>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/units.h"

namespace medlar::cli {
namespace {

struct PullCommand {
  std::string model;
  bool json = false;

  void run(const Console& console) const {
    store::Store store = open_store();
    const store::PullResult result = pull_model(store, model, console);
    const store::InstalledModel& installed = result.model;
    if (json) {
      console.write(to_line({{"name", installed.name},
                             {"path", installed.files.at(0).path.string()},
                             {"bytes", installed.bytes},
                             {"was_installed", result.was_installed}}));
    } else {
      console.message(fmt::format("{}: {}, {}", visible(installed.name),
                                  result.was_installed ? "already here" : "pulled",
                                  format_bytes(installed.bytes)));
    }
  }
};

}  // namespace

void add_pull(CLI::App& program, const Console& console) {
  auto options = std::make_shared<PullCommand>();
  CLI::App* command = add_command(program, "pull", "Download a model, or go on with a download that stopped",
                                  "medlar pull smollm2:135m");
  command->add_option("model", options->model, "What to download")->required()->type_name("MODEL");
  command->add_flag("--json", options->json, "Print the result as JSON");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
