// From reports of memory pressure to what is given up: four stages with hysteresis. No thread, no clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "host/signals.h"

namespace medlar::host {

// Recovering: the pressure is over, but it is too early to take memory again.
enum class MemoryStage : std::uint8_t { normal, warning, critical, recovering };
std::string_view name(MemoryStage stage);

// All of them may be asked for again while they are in force, and then do what is new to do.
enum class MemoryAction : std::uint8_t {
  spill_idle_conversations,  // write the pages of those without an answer in progress to the prefix store
  shrink_caches,             // forget what is kept only in case it is used again
  stop_prefetching,          // read nothing ahead
  cut_queue,                 // admit fewer waiting requests at a time
  release_idle_models,       // give back the pages of models that are not answering
  unload_secondary_models,   // all but the one that is answering, or was last
  unload_after_answer,       // let answers in progress end, then unload the rest
  reload_lazily,             // load again what a request asks for, and nothing else
  lift_limits,               // prefetching, caches and queue as before
};
std::string_view name(MemoryAction action);

// What a stage asks for, cheapest first; critical includes what warning asks for.
std::span<const MemoryAction> actions(MemoryStage stage);

struct LadderOptions {
  // Without a report as bad as the stage for that long, the stage ends. Doubles with every relapse.
  Duration quiet = std::chrono::seconds(4);
  Duration longest_quiet = std::chrono::seconds(32);
  Duration recovery = std::chrono::seconds(4);  // from the end of the pressure to normal
  // A rise within that time after a fall is a relapse; later ones are news.
  Duration memory = std::chrono::seconds(120);
  // While reports go on, the stage's actions are asked for again: conversations have become idle meanwhile.
  Duration again = std::chrono::seconds(2);
};

// Rises at once, falls a stage at a time after quiet. So however reports come, the stage changes at most
// three times in `quiet`, ever more rarely while they go on, and ends normal after they end.
class Ladder {
 public:
  explicit Ladder(const LadderOptions& options = {}) : options_(options), quiet_(options.quiet) {}

  // What is to be done now.
  struct Change {
    MemoryStage stage = MemoryStage::normal;
    bool again = false;  // the stage is the same as before
  };

  // Times never run backward. Pressure `normal` changes nothing: only time does.
  std::optional<Change> report(MemoryPressure pressure, Time now);
  // To be called when due() has come; later is harmless.
  std::optional<Change> advance(Time now);
  // When the next fall may happen; nullopt: in the normal stage.
  std::optional<Time> due() const;

  MemoryStage stage() const { return stage_; }
  Time since() const { return since_; }  // the first change; the epoch before it

 private:
  Change enter(MemoryStage stage, Time now);
  void rise(Time now);

  LadderOptions options_;
  MemoryStage stage_ = MemoryStage::normal;
  Duration quiet_;
  Time since_{};
  Time last_report_{};             // at least as bad as the stage
  Time last_asked_{};              // for the stage's actions
  std::optional<Time> last_fall_;  // from critical or warning, since the last rise
};

}  // namespace medlar::host
