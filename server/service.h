// What all handlers share: the models in memory, the ledger, the metrics, the log, and what some routes need
// beside.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/ledger.h"
#include "base/log.h"
#include "server/metrics.h"
#include "server/shelf.h"

namespace medlar::host {
class Governor;
class MemoryLease;
}  // namespace medlar::host

namespace medlar::server {

class Apps;
class Caretaker;
class History;
class ResponseStore;
template <class Store>
class Desk;
class Models;

// Thrown where a request needs a model that is not in memory: whoever serves it has it loaded, and asks
// again.
struct NotInMemory {
  std::string name;
};

// Any thread.
class Service {
 public:
  // `device_accounts`: of what is in GPUs' own memory.
  Service(Logger logger, std::shared_ptr<Ledger> account, std::shared_ptr<DeviceLedgers> device_accounts)
      : log(std::move(logger)), ledger(std::move(account)), device_ledgers(std::move(device_accounts)) {}

  // The model of this name, "" for whichever was used last. Throws NotInMemory; ApiError: 503 until the first
  // one is loaded, 404 where none was asked for and there is none.
  Shelf::Lease lease(std::string_view name);
  // Throws ApiError(503) until the first model is loaded.
  void require_started() const;

  // The first model is there, or there is none.
  void started();
  // Which model "" stands for when none is in memory; "": none.
  void set_default(std::string name);

  // By when a request that comes now must have been admitted: after the seconds that it allows itself, else
  // after the server's own limit, where there is one.
  std::optional<std::chrono::steady_clock::time_point> queue_deadline(std::optional<double> seconds) const;

  // Of a request that does not say: its app's.
  Priority priority_of(std::string_view client) const;

  const Logger log;
  const std::shared_ptr<Ledger> ledger;
  const std::shared_ptr<DeviceLedgers> device_ledgers;
  Metrics metrics;
  Shelf shelf;
  Caretaker* caretaker = nullptr;             // null: nobody watches the machine
  host::Governor* governor = nullptr;         // the same
  Apps* apps = nullptr;                       // null: none are registered here
  host::MemoryLease* memory_lease = nullptr;  // null: nobody shares the machine's memory out
  Models* models = nullptr;                   // null: no others than those in memory
  Desk<History>* history = nullptr;
  Desk<ResponseStore>* responses = nullptr;
  double queue_timeout = 0;  // seconds that a request may wait; 0: without end

 private:
  mutable std::mutex mutex_;
  bool started_ = false;
  std::string default_;
};

}  // namespace medlar::server
