// medlar app: register apps with the server, see which there are, and change their keys.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/json.h"
#include "cli/memory_limit.h"
#include "cli/models.h"
#include "cli/units.h"
#include "host/memory.h"
#include "server/app_store.h"

namespace medlar::cli {
namespace {

namespace json = boost::json;

struct AppCommand {
  std::string action = "list", argument;
  bool json = false;
  MemoryFlag memory;

  void run(const Console& console) const {
    store::Store store = open_store();
    server::AppStore apps(store.options().root / server::kAppFileName, Logger::to_stderr(LogLevel::warning));
    if (action == "list") {
      if (!argument.empty()) throw Error(ErrorKind::usage, "medlar app list takes no name", "leave it out");
      return list(apps, console);
    }
    if (argument.empty())
      throw Error(ErrorKind::usage,
                  fmt::format("medlar app {} needs {}", action, action == "add" ? "a file" : "a name"),
                  action == "add" ? "as in medlar app add app.json" : "medlar app list shows them");
    if (action == "add") return add(store, apps, console);
    if (action == "key") return show_key(argument, apps.renew_key(argument), console);
    apps.remove(argument);
    if (json) return console.write(to_line(json::object{{"name", argument}, {"status", "removed"}}));
    console.message(fmt::format("{}: removed; its key is worth nothing any more", visible(argument)));
  }

 private:
  void add(const store::Store& store, server::AppStore& apps, const Console& console) const {
    const server::AppManifest manifest = server::parse_app_manifest(read_input(argument));
    for (const server::AppManifest::Pair& pair : manifest.pairs) check_pair(store, pair);
    check_memory(store, manifest);
    const std::string key = apps.add(manifest);
    for (const std::string& model : manifest.models)
      if (!json && !store.find(model))
        console.message(
            fmt::format("note: {} is not here yet; medlar pull {} gets it", visible(model), visible(model)));
    show_key(manifest.name, key, console);
  }

  void show_key(const std::string& name, const std::string& key, const Console& console) const {
    if (json) return console.write(to_line(json::object{{"name", name}, {"key", key}}));
    console.write(key + "\n");
    console.message(fmt::format("This is the key of {}. It is shown only now.", visible(name)));
  }

  // Of models that are here; others are looked at by nobody yet.
  static void check_pair(const store::Store& store, const server::AppManifest::Pair& pair) {
    if (!store.find(pair.model) || !store.find(pair.draft)) return;
    const ModelDescription model = describe(store.resolve(pair.model).path);
    const ModelDescription draft = describe(store.resolve(pair.draft).path);
    if (model.vocab != draft.vocab)
      throw Error(ErrorKind::usage,
                  fmt::format("pairs: {} has {} tokens and its draft {} has {}", pair.model, model.vocab,
                              pair.draft, draft.vocab),
                  "a draft must have its model's vocabulary");
    if (draft.parameters >= model.parameters)
      throw Error(ErrorKind::usage,
                  fmt::format("pairs: the draft {} is no smaller than {}", pair.draft, pair.model),
                  "a draft is worth it where it is several times smaller");
  }

  void check_memory(const store::Store& store, const server::AppManifest& manifest) const {
    const host::Limit limit = memory.value();
    if (manifest.memory_bytes <= static_cast<std::uint64_t>(limit.bytes)) return;
    std::vector<std::string> plans;
    for (const std::string& name : manifest.models) {
      if (!store.find(name)) continue;
      Planner planner(store.resolve(name).path);
      plans.push_back(fmt::format("{} takes {} by its plan", name,
                                  host::bytes_text(host::memory_need(planner.plan({})).total())));
    }
    throw Error(ErrorKind::out_of_memory,
                fmt::format("{} requires {} of memory, but {} is {}", manifest.name,
                            host::bytes_text(static_cast<std::int64_t>(manifest.memory_bytes)), limit.reason,
                            host::bytes_text(limit.bytes)),
                plans.empty() ? "lower requires.memoryGB" : fmt::format("{}", fmt::join(plans, ", ")));
  }

  void list(server::AppStore& apps, const Console& console) const {
    const std::vector<server::RegisteredApp> all = apps.list();
    if (json) {
      json::array array;
      for (const server::RegisteredApp& app : all) {
        json::object object = to_json(app.manifest);
        object["created"] = app.created;
        array.push_back(std::move(object));
      }
      return console.write(to_line(array));
    }
    if (all.empty()) return console.message("There is no app.");
    console.write(fmt::format("{:<32}  {:>9}  {:<11}  {}\n", "APP", "REQUIRES", "PRIORITY", "MODELS"));
    for (const auto& [manifest, client, digest, created] : all)
      console.write(fmt::format(
          "{:<32}  {:>9}  {:<11}  {}\n", visible(manifest.name), format_bytes(manifest.memory_bytes),
          manifest.priority == Priority::background ? "background" : "interactive",
          visible(manifest.models.empty() ? "any" : fmt::format("{}", fmt::join(manifest.models, ", ")))));
  }
};

}  // namespace

void add_app(CLI::App& program, const Console& console) {
  auto options = std::make_shared<AppCommand>();
  CLI::App* command =
      add_command(program, "app", "Register apps that use the server", "medlar app add app.json");
  command->add_option("action", options->action, "Register from a manifest, list, remove, or give a new key")
      ->type_name("add|list|remove|key")
      ->check(CLI::IsMember({"add", "list", "remove", "key"}).description(""))
      ->capture_default_str();
  command->add_option("argument", options->argument, "The manifest to add, or the app's name")
      ->type_name("FILE|NAME");
  command->add_flag("--json", options->json, "Print JSON");
  options->memory.add_to(*command);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
