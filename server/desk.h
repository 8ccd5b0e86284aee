// A database as the routes use it: opened when first asked for, on a thread of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "base/log.h"
#include "server/background.h"
#include "server/history.h"
#include "server/response_store.h"

namespace medlar::server {

template <class Store>
class Desk {
 public:
  Desk(std::filesystem::path path, Logger log) : path_(std::move(path)), log_(std::move(log)) {}

  // Later, in turn. Where the database cannot be opened, the call is answered with the reason, and the next
  // one tries again.
  void run(const Call& call, std::function<void(Store&, const Call&)> work) {
    thread_.run(call, [this, work = std::move(work)](const Call& c) { work(store(), c); });
  }
  // On the desk's thread only.
  Store& store() {
    if (!store_) store_.emplace(path_, log_);
    return *store_;
  }
  // The same, where the work also deals with a database that cannot be opened, by calling store() itself.
  void run_unopened(const Call& call, std::function<void(const Call&)> work) {
    thread_.run(call, std::move(work));
  }
  void close() { thread_.close(); }

 private:
  std::filesystem::path path_;
  Logger log_;
  std::optional<Store> store_;  // of the thread
  Background thread_{1};
};

using HistoryDesk = Desk<History>;
using ResponseDesk = Desk<ResponseStore>;

}  // namespace medlar::server
