#include "server/serve.h"

#include <exception>
#include <optional>
#include <thread>

#include "host/governor.h"
#include "server/api.h"
#include "server/apps.h"
#include "server/caretaker.h"
#include "server/desk.h"
#include "server/http_server.h"

namespace medlar::server {
namespace {

// Everything behind the protocol.
struct Rooms {
  Service service;
  Caretaker caretaker;
  Models models;
  HistoryDesk history;
  ResponseDesk responses;
  Apps apps;
  Api api;
  std::optional<host::Governor> governor;

  explicit Rooms(const ServeOptions& options)
      : service(options.log, options.ledger, options.device_ledgers),
        caretaker(service, options.team),
        models(service, options.models),
        history(options.history, options.log),
        responses(options.responses, options.log),
        apps(options.apps, options.log),
        api(service, Access(options.access, options.listen.unix_path.empty() ? options.listen.host : "")) {
    service.caretaker = &caretaker;
    service.models = &models;
    if (options.sources) {
      governor.emplace(options.sources(), caretaker, host::GovernorOptions{.log = options.log});
      service.governor = &*governor;
    }
    service.history = &history;
    service.responses = &responses;
    if (options.apps.empty()) return;
    service.apps = &apps;
    apps.refresh();  // what they want is known before the first model is loaded
  }

  // Handlers first, and at last the scheduler, whose events go to the I/O thread.
  void close() {
    apps.close();
    api.close();
    models.close();
    governor.reset();
    history.close();
    responses.close();
    service.shelf.close();
  }
};

}  // namespace

void serve(const ServeOptions& options) {
  Rooms rooms(options);
  rooms.service.queue_timeout = options.queue_timeout;
  rooms.service.memory_lease = options.memory_lease;
  HttpServer http(options.listen, rooms.api, options.log, *options.ledger);
  std::exception_ptr failure;
  std::thread loader([&] {
    try {
      const std::string model = rooms.models.start(options.model);
      http.post([&, model] { options.on_ready(model, http.urls()); });
    } catch (...) {
      failure = std::current_exception();
      http.post([&] { http.stop(); });
    }
  });
  const auto close = [&] {
    loader.join();
    rooms.close();
  };
  try {
    http.run();
  } catch (...) {
    close();
    throw;
  }
  close();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace medlar::server
