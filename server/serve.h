// A server from its options to its end: listens, loads the first model meanwhile, serves, drains.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/team.h"
#include "host/lease.h"
#include "host/signals.h"
#include "server/models.h"
#include "server/options.h"

namespace medlar::server {

struct ServeOptions {
  ListenOptions listen;
  AccessOptions access;
  Logger log;
  std::shared_ptr<Ledger> ledger = Ledger::make();
  // Of GPUs' own memory.
  std::shared_ptr<DeviceLedgers> device_ledgers = std::make_shared<DeviceLedgers>();
  host::MemoryLease* memory_lease = nullptr;  // that sets the ledger's ceiling; null: nobody does
  double queue_timeout = 0;                   // seconds that a request may wait for its turn; 0: without end
  // Loaded on a thread of its own while the server already answers 503; "": none.
  std::string model;
  ModelsOptions models;
  std::shared_ptr<Team> team;       // that all models are loaded with, so that heat and battery can limit it
  std::filesystem::path history;    // the page's conversations
  std::filesystem::path responses;  // those of /v1/responses
  std::filesystem::path apps;       // those that are registered; empty: none
  // What the machine is watched by; unset: by nothing.
  std::function<host::Sources()> sources;
  // Called once on the I/O thread when the server is ready, with the model's name, "" for none, and the URLs,
  // the main one first.
  std::function<void(const std::string& model, const std::vector<std::string>& urls)> on_ready;
};

// Returns after SIGTERM or SIGINT, when all answers are complete or their time is up. Throws what listening
// and loading throw.
void serve(const ServeOptions& options);

}  // namespace medlar::server
