#include "host/ladder.h"

#include <algorithm>

namespace medlar::host {
namespace {

using enum MemoryAction;

constexpr MemoryAction kWarning[] = {spill_idle_conversations, shrink_caches, stop_prefetching, cut_queue};
constexpr MemoryAction kCritical[] = {
    spill_idle_conversations, shrink_caches,           stop_prefetching,   cut_queue,
    release_idle_models,      unload_secondary_models, unload_after_answer};
constexpr MemoryAction kRecovering[] = {reload_lazily};
constexpr MemoryAction kNormal[] = {lift_limits};

}  // namespace

std::string_view name(MemoryStage stage) {
  switch (stage) {
    case MemoryStage::normal:
      return "normal";
    case MemoryStage::warning:
      return "warning";
    case MemoryStage::critical:
      return "critical";
    case MemoryStage::recovering:
      return "recovering";
  }
  return "";
}

std::string_view name(MemoryAction action) {
  constexpr std::string_view kNames[] = {"spill_idle_conversations",
                                         "shrink_caches",
                                         "stop_prefetching",
                                         "cut_queue",
                                         "release_idle_models",
                                         "unload_secondary_models",
                                         "unload_after_answer",
                                         "reload_lazily",
                                         "lift_limits"};
  return kNames[static_cast<std::size_t>(action)];
}

std::span<const MemoryAction> actions(MemoryStage stage) {
  switch (stage) {
    case MemoryStage::normal:
      return kNormal;
    case MemoryStage::warning:
      return kWarning;
    case MemoryStage::critical:
      return kCritical;
    case MemoryStage::recovering:
      return kRecovering;
  }
  return {};
}

Ladder::Change Ladder::enter(MemoryStage stage, Time now) {
  stage_ = stage;
  since_ = last_asked_ = now;
  return {.stage = stage};
}

// Pressure that comes back says that what was taken again was too much: the next attempt waits longer.
void Ladder::rise(Time now) {
  last_report_ = now;
  if (!last_fall_) return;
  const bool relapse = now - *last_fall_ < options_.memory;
  quiet_ = relapse ? std::min(2 * quiet_, options_.longest_quiet) : options_.quiet;
  last_fall_.reset();
}

std::optional<Ladder::Change> Ladder::report(MemoryPressure pressure, Time now) {
  const std::optional<Change> fallen = advance(now);
  if (pressure == MemoryPressure::normal) return fallen;
  const bool critical = pressure == MemoryPressure::critical;
  switch (stage_) {
    case MemoryStage::normal:
    case MemoryStage::recovering:
      rise(now);
      return enter(critical ? MemoryStage::critical : MemoryStage::warning, now);
    case MemoryStage::warning:
      if (critical) {
        rise(now);
        return enter(MemoryStage::critical, now);
      }
      last_report_ = now;
      break;
    case MemoryStage::critical:
      if (!critical) return fallen;
      last_report_ = now;
      break;
  }
  if (fallen || now - last_asked_ < options_.again) return fallen;
  last_asked_ = now;
  return Change{.stage = stage_, .again = true};
}

// A fall from critical passes through warning, which then needs quiet of its own.
std::optional<Ladder::Change> Ladder::advance(Time now) {
  const std::optional<Time> next = due();
  if (!next || now < *next) return std::nullopt;
  switch (stage_) {
    case MemoryStage::critical:
      last_fall_ = last_report_ = now;
      return enter(MemoryStage::warning, now);
    case MemoryStage::warning:
      last_fall_ = now;
      return enter(MemoryStage::recovering, now);
    default:
      return enter(MemoryStage::normal, now);
  }
}

std::optional<Time> Ladder::due() const {
  switch (stage_) {
    case MemoryStage::normal:
      return std::nullopt;
    case MemoryStage::recovering:
      return since_ + options_.recovery;
    default:
      return last_report_ + quiet_;
  }
}

}  // namespace medlar::host
