// The history as the routes use it: opened when first asked for, on a thread of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "base/log.h"
#include "server/background.h"
#include "server/history.h"

namespace medlar::server {

class HistoryDesk {
 public:
  HistoryDesk(std::filesystem::path path, Logger log) : path_(std::move(path)), log_(std::move(log)) {}

  // Later, in turn. Where the history cannot be opened, the call is answered with the reason, and the next
  // one tries again.
  void run(const Call& call, std::function<void(History&, const Call&)> work) {
    thread_.run(call, [this, work = std::move(work)](const Call& c) {
      if (!history_) history_.emplace(path_, log_);
      work(*history_, c);
    });
  }
  void close() { thread_.close(); }

 private:
  std::filesystem::path path_;
  Logger log_;
  std::optional<History> history_;  // of the thread
  Background thread_{1};
};

}  // namespace medlar::server
