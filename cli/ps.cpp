// medlar ps and medlar stop: the models that a running server has in memory.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/server_client.h"
#include "cli/units.h"

namespace medlar::cli {
namespace {

namespace json = boost::json;

// "2026-11-21T04:06:00.123456Z" in seconds from now; more than a year is for ever.
std::string until(const std::string& time) {
  std::tm utc{};
  if (!strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &utc)) return "?";
  const double seconds = std::difftime(timegm(&utc), std::time(nullptr));
  constexpr double kYear = 365.0 * 24 * 3600;
  if (seconds > kYear) return "for ever";
  return seconds <= 0 ? "now" : format_duration(seconds);
}

struct PsCommand {
  bool json = false;
  ServerClient server;

  void run(const Console& console) const {
    const json::value models = server.get("/api/ps"), memory = server.get("/v1/memory");
    const json::array& list = models.at("models").as_array();
    if (json) return console.write(to_line(json::object{{"models", list}, {"memory", memory}}));
    const auto bytes = [](const json::value& value) {
      return format_bytes(value.to_number<std::uint64_t>());
    };
    console.write(fmt::format("{:<32}  {:>9}  {:>8}  {}\n", "MODEL", "SIZE", "CONTEXT", "LEAVES IN"));
    for (const json::value& model : list)
      console.write(fmt::format("{:<32}  {:>9}  {:>8}  {}\n",
                                visible(std::string(model.at("name").as_string())), bytes(model.at("size")),
                                model.at("context_length").to_number<std::int64_t>(),
                                until(std::string(model.at("expires_at").as_string()))));
    const bool limited = memory.at("ceiling").to_number<std::uint64_t>() > 0;
    console.message(fmt::format("{} of {}{} in memory, {} without the models' files",
                                bytes(memory.at("process").at("resident")), bytes(memory.at("limit")),
                                limited ? " allowed" : " to be had",
                                bytes(memory.at("process").at("anonymous"))));
    if (const json::value* devices = memory.as_object().if_contains("devices"))
      for (const json::value& device : devices->as_array())
        console.message(fmt::format("{} of {} on GPU {}", bytes(device.at("held_total")),
                                    bytes(device.at("ceiling")), device.at("number").to_number<int>()));
    if (const json::value* shares = memory.as_object().if_contains("shares")) show_others(*shares, console);
  }

  // The programs that share the machine's memory with the server.
  static void show_others(const json::value& shares, const Console& console) {
    const json::array& others = shares.at("others").as_array();
    if (others.empty()) return;
    console.write(
        fmt::format("\n{:<32}  {:>9}  {:>8}  {}\n", "OTHER PROGRAM", "SHARE", "PROCESS", "PRIORITY"));
    for (const json::value& other : others)
      console.write(fmt::format(
          "{:<32}  {:>9}  {:>8}  {}\n", visible(std::string(other.at("name").as_string())),
          format_bytes(other.at("share").to_number<std::uint64_t>()),
          other.at("pid").to_number<std::int64_t>(), visible(std::string(other.at("priority").as_string()))));
  }
};

struct StopCommand {
  std::string model;
  ServerClient server;

  void run(const Console& console) const {
    std::vector<std::string> names;
    if (!model.empty()) {
      names.push_back(model);
    } else {
      const json::value models = server.get("/api/ps");
      for (const json::value& loaded : models.at("models").as_array())
        names.emplace_back(loaded.at("name").as_string());
    }
    for (const std::string& name : names) {
      server.post("/v1/models/unload", {{"model", name}});
      console.message(fmt::format("{} is out of memory", visible(name)));
    }
    if (names.empty()) console.message("There is no model in memory.");
  }
};

}  // namespace

void add_ps(CLI::App& program, const Console& console) {
  auto options = std::make_shared<PsCommand>();
  CLI::App* command =
      add_command(program, "ps", "List the models that a running server has in memory", "medlar ps");
  options->server.add_to(*command);
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &console] { options->run(console); });
}

void add_stop(CLI::App& program, const Console& console) {
  auto options = std::make_shared<StopCommand>();
  CLI::App* command = add_command(program, "stop", "Take a model out of a running server's memory",
                                  "medlar stop smollm2:135m");
  command->add_option("model", options->model, "Which model; without it all of them")->type_name("MODEL");
  options->server.add_to(*command);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
