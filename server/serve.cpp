#include "server/serve.h"

#include <exception>
#include <thread>

#include "server/api.h"
#include "server/http_server.h"

namespace medlar::server {
namespace {

// What closes whom: handlers first, then the scheduler, whose events go to the I/O thread, and the server
// last.
void close(Api& api, Service& service, std::thread& loader) {
  if (loader.joinable()) loader.join();
  api.close();
  service.close();
}

}  // namespace

void serve(const ServeOptions& options) {
  Service service(options.log);
  const ListenOptions& listen = options.listen;
  Api api(service, Access(options.access, listen.unix_path.empty() ? listen.host : ""));
  HttpServer http(listen, api, options.log);
  std::exception_ptr failure;
  std::thread loader([&] {
    try {
      service.ready(options.load());
      http.post([&] { options.on_ready(http.urls()); });
    } catch (...) {
      failure = std::current_exception();
      http.post([&] { http.stop(); });
    }
  });
  try {
    http.run();
  } catch (...) {
    close(api, service, loader);
    throw;
  }
  close(api, service, loader);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace medlar::server
