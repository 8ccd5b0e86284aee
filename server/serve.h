// A server from its options to its end: listens, loads the model meanwhile, serves, drains.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "server/options.h"
#include "server/service.h"

namespace medlar::server {

struct ServeOptions {
  ListenOptions listen;
  AccessOptions access;
  Logger log;
  // Loads the model, on a thread of its own while the server already answers 503.
  std::function<std::unique_ptr<Model>()> load;
  // Called once on the I/O thread when the model is there, with the URLs, the main one first.
  std::function<void(const std::vector<std::string>& urls)> on_ready;
};

// Returns after SIGTERM or SIGINT, when all answers are complete or their time is up. Throws what listening
// and loading throw.
void serve(const ServeOptions& options);

}  // namespace medlar::server
