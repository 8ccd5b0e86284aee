// A small program over Store, for tests that need processes of their own: to be killed, starved, or run in
// pairs. Prints one JSON object. Exit status: 0, or 1 with {"error":KIND,"message":...,"hint":...}.
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <unistd.h>

#include "base/error.h"
#include "store/store.h"

namespace {

namespace json = boost::json;
using namespace medlar;
using namespace medlar::store;

long number(const char* name, long fallback) {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : std::strtol(value, nullptr, 10);
}

StoreOptions options() {
  StoreOptions o = options_from_environment();
  o.download.http.connect_timeout = std::chrono::milliseconds(number("STORE_TOOL_CONNECT_MS", 2000));
  o.download.http.stall_timeout = std::chrono::seconds(number("STORE_TOOL_STALL_S", 5));
  o.download.attempts = static_cast<int>(number("STORE_TOOL_ATTEMPTS", 3));
  o.download.backoff = std::chrono::milliseconds(number("STORE_TOOL_BACKOFF_MS", 10));
  o.download.partial.checkpoint_bytes = static_cast<std::uint64_t>(number("STORE_TOOL_CHECKPOINT", 64 << 10));
  return o;
}

json::object describe(const InstalledModel& model) {
  return {{"name", model.name},
          {"source", model.source},
          {"architecture", model.architecture},
          {"bytes", model.bytes},
          {"problem", model.problem},
          {"path", model.files.empty() ? "" : model.files.front().path.native()}};
}

json::object run(const std::string& command, const std::string& argument) {
  Store store(options());
  if (command == "pull") {
    bool waited = false;
    const PullResult result = store.pull(
        argument, {.progress = [&](const ProgressEvent& e) { waited |= e.phase == Phase::waiting; }});
    json::object out = describe(result.model);
    out["waited"] = waited;
    out["was_installed"] = result.was_installed;
    out["notes"] = json::value_from(result.notes);
    return out;
  }
  if (command == "list") {
    json::array models;
    for (const InstalledModel& model : store.list()) models.push_back(describe(model));
    return {{"models", models}};
  }
  if (command == "hold") {  // keeps the model in use until stdin closes
    const ResolvedModel model = store.resolve(argument);
    std::printf("holding\n");
    std::fflush(stdout);
    char c = 0;
    while (::read(0, &c, 1) > 0) {
    }
    return {{"path", model.path.native()}};
  }
  if (command == "resolve") return {{"path", store.resolve(argument).path.native()}};
  if (command == "rm") return {{"freed", store.remove(argument)}};
  if (command == "verify") return {{"good", store.verify(argument).good()}};
  fail(ErrorKind::usage, "unknown command {}", command);
}

}  // namespace

int main(int argc, char** argv) {
  json::object out;
  int status = 0;
  try {
    out = run(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
  } catch (const Error& e) {
    out = {{"error", static_cast<int>(e.kind())}, {"message", e.what()}, {"hint", e.hint()}};
    status = 1;
  }
  std::printf("%s\n", json::serialize(out).c_str());
  return status;
}
