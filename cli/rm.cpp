// medlar rm: delete a model.
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/units.h"

namespace medlar::cli {
namespace {

struct RemoveCommand {
  std::vector<std::string> models;
  bool json = false;

  void run(const Console& console) const {
    store::Store store = open_store();
    boost::json::array removed;
    for (const std::string& model : models) {
      const std::uint64_t bytes = store.remove(model);
      removed.push_back({{"name", model}, {"bytes", bytes}});
      if (!json) console.message(fmt::format("{}: removed, {} freed", visible(model), format_bytes(bytes)));
    }
    if (json) console.write(to_line(removed));
  }
};

}  // namespace

void add_rm(CLI::App& program, const Console& console) {
  auto options = std::make_shared<RemoveCommand>();
  CLI::App* command = add_command(program, "rm", "Delete models and the files no other model shares",
                                  "medlar rm smollm2:135m");
  command->add_option("model", options->models, "What to delete")->required()->type_name("MODEL");
  command->add_flag("--json", options->json, "Print what was deleted as JSON");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
