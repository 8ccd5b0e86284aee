// What Prometheus reads: latencies, tokens, cache hits, the queue, and memory by category.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/ledger.h"
#include "engine/scheduler.h"

namespace medlar::server {

// Any thread.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  void request(std::string_view method, std::string_view route, int status, double seconds);
  void first_token(double seconds);
  void next_token(double seconds);
  void generated(const Usage& usage);

  // In the text form of Prometheus; `models` are those in memory, `devices` is what they take of GPUs' own,
  // by number.
  std::string text(std::span<const SchedulerStatus> models, const Ledger::Snapshot& memory,
                   std::span<const std::pair<int, Ledger::Snapshot>> devices) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace medlar::server
