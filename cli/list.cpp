// medlar list: the models that are here, or that the catalogue knows.
#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/units.h"

namespace medlar::cli {
namespace {

struct Row {
  std::string name, size, details;
};

// Three columns; the last one gives way when the terminal is narrow.
std::string table(const std::vector<Row>& rows, const Terminal& terminal) {
  std::size_t name = 0, size = 0;
  for (const Row& row : rows) {
    name = std::max(name, row.name.size());
    size = std::max(size, row.size.size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line = fmt::format("{:<{}}  {:>{}}  {}", row.name, name, row.size, size, row.details);
    while (line.ends_with(' ')) line.pop_back();
    text += (terminal.interactive ? fit(line, terminal.columns) : line) + "\n";
  }
  return text;
}

boost::json::object to_json(const store::InstalledModel& model) {
  boost::json::object object{{"name", model.name},
                             {"source", model.source},
                             {"architecture", model.architecture},
                             {"quant", model.quant},
                             {"created", model.created},
                             {"bytes", model.bytes},
                             {"path", model.files.empty() ? "" : model.files[0].path.string()}};
  if (!model.problem.empty()) object["problem"] = model.problem;
  return object;
}

struct ListCommand {
  bool json = false, quiet = false, catalogue_only = false;

  void run(const Console& console) const {
    if (catalogue_only) return list_catalogue(console);
    const std::vector<store::InstalledModel> models = open_store().list();
    if (json) {
      boost::json::array array;
      for (const store::InstalledModel& model : models) array.push_back(to_json(model));
      return console.write(to_line(array));
    }
    std::vector<Row> rows;
    for (const store::InstalledModel& model : models) {
      const std::string details = fmt::format("{} {}  {}", model.architecture, model.quant, model.source);
      rows.push_back({visible(model.name), format_bytes(model.bytes),
                      visible(model.problem.empty() ? details : model.problem)});
    }
    print(rows, console);
    if (models.empty() && !quiet)
      console.message("No models yet. \"medlar pull smollm2:135m\" gets a small one.");
  }

  void list_catalogue(const Console& console) const {
    std::vector<Row> rows;
    boost::json::array array;
    for (const store::CatalogueEntry& entry : store::catalogue()) {
      rows.push_back(
          {std::string(entry.name), format_bytes(entry.bytes),
           fmt::format("{}  {}  {}", format_parameters(entry.parameters), entry.quant, entry.note)});
      array.push_back({{"name", entry.name},
                       {"architecture", entry.architecture},
                       {"quant", entry.quant},
                       {"parameters", entry.parameters},
                       {"bytes", entry.bytes},
                       {"license", entry.license}});
    }
    if (json) return console.write(to_line(array));
    print(rows, console);
  }

  void print(const std::vector<Row>& rows, const Console& console) const {
    if (!quiet) return console.write(table(rows, console.output));
    for (const Row& row : rows) console.write(row.name + "\n");
  }
};

}  // namespace

void add_list(CLI::App& program, const Console& console) {
  auto options = std::make_shared<ListCommand>();
  CLI::App* command = add_command(program, "list", "List the models that are here", "medlar list --json");
  command->add_flag("--catalogue", options->catalogue_only, "List the catalogue instead");
  command->add_flag("-q,--quiet", options->quiet, "Print names only");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
