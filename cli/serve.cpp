// medlar serve: one model for many clients, over HTTP.
#include "server/serve.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "base/host.h"
#include "base/ledger.h"
#include "base/team.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/memory_limit.h"
#include "cli/models.h"
#include "cli/tuned_flag.h"
#include "host/script.h"
#include "server/app_store.h"
#include "server/describe.h"
#include "server/keep_alive.h"
#include "web/page.h"

namespace medlar::cli {
namespace {

LogLevel parse_level(const std::string& name) {
  if (name == "debug") return LogLevel::debug;
  if (name == "info") return LogLevel::info;
  if (name == "warning") return LogLevel::warning;
  if (name == "error") return LogLevel::error;
  if (name == "off") return LogLevel::off;
  throw Error(ErrorKind::usage, fmt::format("--log: there is no level \"{}\"", name),
              "choose one of debug, info, warning, error, off");
}

struct ServeCommand {
  std::string model, key_file, pooling, log = "warning";
  double queue_timeout = 0;
  std::vector<std::string> aliases;
  int parallel = 4;
  bool parallel_is_open = true;  // not given
  int body_megabytes = 64, drain_seconds = 30;
  std::int64_t cache = 0;
  int prefix_gigabytes = 0;
  std::size_t most_models = 0;
  std::string keep_alive = "3m", signals;
  int rest_seconds = 60;
  bool batch_invariant = false, describe = false;
  server::ListenOptions listen;
  server::AccessOptions access;
  EngineFlags engine;
  MemoryFlag memory;
  TunedFlag tuned;

  void run(const Console& console) {
    if (describe) return console.write(server::describe_api());
    if (!key_file.empty()) add_keys(read_input(key_file));
    EngineOptions engine_options = engine.options();
    engine_options.sequences = parallel;
    engine_options.cache = cache;
    engine_options.batch_invariant = batch_invariant;
    const host::Limit limit = memory.value();  // a size that is none is told of at once
    engine_options.ledger = Ledger::make(static_cast<std::uint64_t>(limit.bytes));
    engine_options.device_ledgers = std::make_shared<DeviceLedgers>();
    listen.limits.body_bytes = static_cast<std::size_t>(body_megabytes) << 20;
    listen.drain = std::chrono::seconds(drain_seconds);
    server::ServeOptions options{.listen = listen,
                                 .access = access,
                                 .log = Logger::to_stderr(parse_level(log)),
                                 .ledger = engine_options.ledger,
                                 .device_ledgers = engine_options.device_ledgers,
                                 .queue_timeout = queue_timeout};
    store::Store store = open_store();
    // Its share is the ceiling, which moves as other programs come and leave.
    const auto lease =
        memory.join({.file = store.options().root / host::kLeaseFileName,
                     .name = "medlar serve",
                     .ledger = options.ledger,
                     .on_share =
                         [ledger = options.ledger,
                          limit = memory.given() ? limit.bytes : INT64_MAX](std::uint64_t share) {
                           ledger->set_ceiling(ceiling(share, static_cast<std::uint64_t>(limit), *ledger));
                         },
                     .log = options.log});
    options.memory_lease = lease.get();
    options.model = model.empty() ? best_installed(store) : model;
    if (!options.model.empty() && store.can_pull(options.model)) pull_model(store, options.model, console);
    // Models take turns, a step each, rather than each other's cores.
    engine_options.team =
        std::make_shared<Team>(TeamOptions{.threads = threads(store, options.model, console)});
    options.history = store.options().root / "history.db";
    options.responses = store.options().root / "responses.db";
    options.apps = store.options().root / server::kAppFileName;
    options.models.store = store.options();
    options.models.patience = listen.drain;
    options.models.most = most_models;
    options.models.keep_alive = keep_time();
    options.models.rest = std::chrono::seconds(rest_seconds);
    options.models.load = [&](const server::ModelRequest& request) {
      EngineOptions wanted = engine_options;
      if (request.kv_type) wanted.k_type = wanted.v_type = request.kv_type;
      return load(store,
                  {.reference = request.reference, .options = wanted, .may_reduce = request.may_reduce},
                  lease, console);
    };
    if (prefix_gigabytes > 0)
      options.models.scheduling.store = {.folder = store.options().root / "prefixes",
                                         .max_bytes = std::int64_t{prefix_gigabytes} << 30,
                                         .log = options.log};
    options.team = engine_options.team;
    options.sources = [&] { return sources(); };
    options.on_ready = [&](const std::string& name, const std::vector<std::string>& urls) {
      const std::string what = name.empty() ? "no model yet" : name;
      const std::string page = web::has_page() ? "" : ", without a page (it was built without Node),";
      console.write(fmt::format("Medlar serves {}{} at {}\n", visible(what), page, visible(urls.front())));
    };
    server::serve(options);
  }

 private:
  host::Sources sources() const {
    if (signals.empty()) return host::system_sources();
    host::Sources scripted;
    scripted.push_back(host::make_scripted(host::read_script(signals), host::Clock::now()));
    return scripted;
  }

  // What the model to begin with was tuned to, where the user left it open.
  int threads(const store::Store& store, const std::string& reference, const Console& console) const {
    EngineOptions options = engine.options();
    if (options.threads == 0 && !reference.empty()) {
      const TunedFlag::Model tuned_model{
          .path = store.resolve(reference).path,
          .open = {.threads = true, .batch = false, .kv_type = false, .gpu_layers = false}};
      options = tuned.apply(options, tuned_model, console);
    }
    return options.threads > 0 ? options.threads : probe().default_threads();
  }

  // What is held stays held, and an answer in progress needs memory on its way out, whatever others take.
  static std::uint64_t ceiling(std::uint64_t share, std::uint64_t limit, const Ledger& ledger) {
    return std::min(limit, std::max(share, ledger.snapshot().total().held + host::kLeaseWorking));
  }

  server::KeepAlive keep_time() const {
    if (const auto time = server::parse_keep_alive(keep_alive)) return *time;
    throw Error(ErrorKind::usage, fmt::format("--keep-alive {}: this is no time", keep_alive),
                "say 90s, 5m, 2h, 0 for at once, or -1 for ever");
  }

  // One key a line.
  void add_keys(const std::string& text) {
    std::size_t start = 0;
    while (start < text.size()) {
      const std::size_t end = std::min(text.find('\n', start), text.size());
      std::string line = text.substr(start, end - start);
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) access.api_keys.push_back(std::move(line));
      start = end + 1;
    }
    if (access.api_keys.empty())
      throw Error(ErrorKind::usage, fmt::format("--api-key-file {}: holds no key", key_file),
                  "write one key a line");
  }

  std::unique_ptr<server::Model> load(const store::Store& store, host::AdmissionRequest request,
                                      const std::shared_ptr<host::MemoryLease>& lease,
                                      const Console& console) const {
    const std::string reference = request.reference;
    store::ResolvedModel resolved = store.resolve(reference);
    auto result = std::make_unique<server::Model>();
    request.path = resolved.path;
    request.parallel_is_open = parallel_is_open;
    request.options = tuned.apply(
        request.options,
        {.path = resolved.path, .open = engine.open(), .limit = memory.room(request.options)}, console);
    MemoryFlag::Loaded loaded = memory.load(std::move(request), lease, console);
    result->engine = std::move(loaded.engine);
    if (!pooling.empty()) result->pooling = parse_pooling(pooling);
    result->path = resolved.path;
    result->parallel = loaded.options.sequences;
    result->loaded = static_cast<std::int64_t>(std::time(nullptr));
    result->names = aliases;
    const auto add = [&](const std::string& name) {
      if (std::ranges::find(result->names, name) == result->names.end()) result->names.push_back(name);
    };
    add(resolved.name);
    if (!std::filesystem::exists(reference)) add(reference);
    add(resolved.path.stem().string());
    result->in_use = std::move(resolved.in_use);
    return result;
  }
};

void add_listening(CLI::App& command, ServeCommand& options) {
  const std::string group = "Listening";
  server::ListenOptions& listen = options.listen;
  command.add_option("--host", listen.host, "Address to listen on; beyond this machine it needs an API key")
      ->type_name("HOST")
      ->capture_default_str()
      ->group(group);
  command.add_option("--port", listen.port, "Port to listen on; 0: a free one")
      ->type_name("PORT")
      ->check(CLI::Range(0, 65535).description(""))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--ollama-port", listen.ollama_port,
                  "A second port, for clients of Ollama: 11434 if no PORT is given")
      ->type_name("PORT")
      ->expected(0, 1)
      ->default_str("11434")
      ->check(CLI::Range(1, 65535).description(""))
      ->group(group);
  command.add_option("--unix", listen.unix_path, "Listen on a Unix socket instead")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--tls-cert", listen.tls_cert, "Certificate chain (PEM): serve over TLS")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--tls-key", listen.tls_key, "Its private key (PEM)")->type_name("FILE")->group(group);
  command.add_option("--max-body", options.body_megabytes, "Megabytes that a request may have")
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--drain", options.drain_seconds,
                  "Seconds that answers may still take after Ctrl-C or SIGTERM")
      ->type_name("N")
      ->check(CLI::Range(0, 3600).description(""))
      ->capture_default_str()
      ->group(group);
}

void add_access(CLI::App& command, ServeCommand& options) {
  const std::string group = "Access";
  const auto several = [&](const char* name, std::vector<std::string>& to, const char* about,
                           const char* type) {
    command.add_option(name, to, about)
        ->type_name(type)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group(group);
  };
  several("--api-key", options.access.api_keys,
          "Answer only those who send this key (may be given several times)", "KEY");
  command.add_option("--api-key-file", options.key_file, "A file with one key a line")
      ->type_name("FILE")
      ->group(group);
  command.add_flag("--no-api-key", options.access.no_api_key, "Let other machines in without a key")
      ->group(group);
  several("--allow-origin", options.access.allow_origins,
          "Let web pages of this origin ask; *: all (may be given several times)", "ORIGIN");
  several("--allow-host", options.access.allow_hosts,
          "Another name this server is called by (may be given several times)", "NAME");
}

}  // namespace

void add_serve(CLI::App& program, const Console& console) {
  auto options = std::make_shared<ServeCommand>();
  CLI::App* command = add_command(program, "serve", "Answer many clients over HTTP",
                                  "medlar serve smollm2:135m --parallel 8");
  command
      ->add_option(
          "model", options->model,
          "Which model, pulled if it is not here; without it the best one that is here, or none: the page "
          "at / offers some")
      ->type_name("MODEL");
  command
      ->add_option("--alias", options->aliases,
                   "Another name that clients may ask for (may be given several times)")
      ->type_name("NAME")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--parallel", options->parallel, "Requests that are answered together")
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""))
      ->capture_default_str();
  command->add_option("--cache", options->cache, "Tokens that all requests together can hold; 0: one context")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""));
  command
      ->add_option(
          "--prefix-store", options->prefix_gigabytes,
          "Gigabytes of the disk for what was read, so that it is not read again after a restart; 0: none")
      ->type_name("N")
      ->check(CLI::Range(0, 1 << 20).description(""))
      ->capture_default_str();
  command
      ->add_option("--keep-alive", options->keep_alive,
                   "How long a model that nobody uses stays in memory: 90s, 5m, 2h; -1: for ever")
      ->type_name("TIME")
      ->capture_default_str();
  command
      ->add_option("--rest", options->rest_seconds,
                   "Seconds without a request, before a model gives pages back that can be read again, and "
                   "makes room for others")
      ->type_name("N")
      ->check(CLI::Range(0, 1 << 20).description(""))
      ->capture_default_str();
  command
      ->add_option("--max-models", options->most_models,
                   "Models in memory at once; 0: as many as there is room for")
      ->type_name("N")
      ->check(CLI::Range(0, 1024).description(""))
      ->capture_default_str();
  command
      ->add_option("--signals", options->signals,
                   "Hear of memory, heat and power from a script instead of this machine (docs/governor.md)")
      ->type_name("FILE");
  command
      ->add_option("--pooling", options->pooling,
                   "How embeddings are made of hidden states; what the model's file says if not given")
      ->type_name("none|mean|cls|last");
  command
      ->add_option("--queue-timeout", options->queue_timeout,
                   "Seconds that a request may wait for its turn; 0: without end")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""))
      ->capture_default_str();
  command->add_flag("--batch-invariant", options->batch_invariant,
                    "An answer does not depend on what else is answered at the same time");
  command->add_flag("--describe", options->describe,
                    "Print the routes and their fields in Markdown, and end");
  command->add_option("--log", options->log, "What is told on standard error")
      ->type_name("debug|info|warning|error|off")
      ->capture_default_str();
  options->engine.add_to(*command);
  options->memory.add_to(*command);
  options->tuned.add_to(*command);
  add_listening(*command, *options);
  add_access(*command, *options);
  command->callback([options, command, &console] {
    options->parallel_is_open = command->count("--parallel") == 0;
    options->run(console);
  });
}

}  // namespace medlar::cli
