// One thread that listens to the machine and says when to give memory back and how hard to work.
// docs/governor.md is its page.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "host/ladder.h"
#include "host/pacing.h"
#include "host/script.h"
#include "host/signals.h"

namespace medlar::host {

// Who does what the governor decides. Called on the governor's thread, one call at a time, without a lock: it
// may ask for a snapshot. A call should take less than a tenth of a second; later decisions wait for it. What
// it throws is logged.
class Responder {
 public:
  virtual ~Responder() = default;
  // At every change of the stage, and again every two seconds while pressure lasts. `actions` is
  // host::actions(stage): what is done already need not be done again.
  virtual void on_memory(MemoryStage stage, std::span<const MemoryAction> actions) = 0;
  // At every change; Pace{} holds before the first.
  virtual void on_pace(const Pace& pace) = 0;
};

struct GovernorOptions {
  LadderOptions ladder;
  PacingOptions pacing;
  Logger log;  // of every change
};

struct GovernorSnapshot {
  MemoryStage stage = MemoryStage::normal;
  Duration in_stage{};  // since it began, or since the governor did
  int stage_changes = 0;
  std::string last_signal;  // of those that were not "all is well": "memory warning, 6% free"; empty: none
  Duration since_signal{};  // 0 where there is none
  MemorySignal memory;      // the latest report
  ThermalSignal thermal;
  PowerSignal power;
  Pace pace;
  Duration last_reaction{},
      slowest_reaction{};            // from a report to the end of on_memory, where the stage rose
  std::vector<std::string> sources;  // their names
};

class Governor {
 public:
  // Starts the thread. `responder` must outlive this object. Throws Error(limit) when there is no thread or
  // descriptor to be had.
  Governor(Sources sources, Responder& responder, GovernorOptions options = {});
  ~Governor();  // waits for a call in progress; not to be called from one
  Governor(const Governor&) = delete;
  Governor& operator=(const Governor&) = delete;

  // From any thread:
  GovernorSnapshot snapshot() const;
  // A signal of the program's own: an allocation that the ledger refused, say. Returns at once.
  void tell(const Signal& signal);
  // What was done since the last call, for pacing (Pacing::worked).
  void worked(double tokens, double busy_seconds);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The same decisions in virtual time, on the caller's thread, as long as the script takes and `after` more.
// The script is by time.
GovernorSnapshot simulate(const Script& script, Responder& responder, Duration after,
                          const GovernorOptions& options = {});

}  // namespace medlar::host
