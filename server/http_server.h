// Listens on ports and sockets and serves an Application on one thread, until a signal lets it drain.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ledger.h"
#include "base/log.h"
#include "server/http.h"
#include "server/options.h"

namespace medlar::server {

class HttpServer {
 public:
  // Listens; nobody is served before run(). Raises the limit on open files as far as it may. Throws
  // Error(usage) for an address that cannot be, Error(io) naming the port that is taken, Error(bad_file) for
  // certificates that do not work. `application` must outlive it.
  HttpServer(const ListenOptions& options, Application& application, Logger log, Ledger& ledger);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "http://127.0.0.1:11435", the main one first.
  const std::vector<std::string>& urls() const;

  // The calling thread becomes the I/O thread. Returns after stop(), or after SIGTERM or SIGINT when all
  // answers are complete or their time is up. A second signal ends the process at once.
  void run();
  // From any thread: runs `task` on the I/O thread.
  void post(std::function<void()> task);
  // On the I/O thread: as the first signal does; ends run() at once.
  void drain();
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace medlar::server
