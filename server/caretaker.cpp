#include "server/caretaker.h"

#include <string>
#include <utility>
#include <vector>

#include "host/lease.h"
#include "server/apps.h"

namespace medlar::server {
namespace {

// All but the one that was used last, as far as nobody uses them.
void unload_secondary(Shelf& shelf) {
  std::vector<std::string> names;
  for (const Shelf::Lease& model : shelf.all()) names.push_back(model->name());
  for (std::size_t i = 1; i < names.size(); ++i) shelf.expire(names[i]);
}

}  // namespace

void Caretaker::on_memory(host::MemoryStage stage, std::span<const host::MemoryAction> actions) {
  service_.log.info("memory stage={}", host::name(stage));
  const bool anew = [&] {
    const std::lock_guard lock(mutex_);
    return std::exchange(stage_, stage) != stage;
  }();
  if (anew) tell_budget();
  for (const host::MemoryAction action : actions) act(action);
}

void Caretaker::act(host::MemoryAction action) {
  using enum host::MemoryAction;
  const auto set_queue = [&](bool cut) {
    {
      const std::lock_guard lock(mutex_);
      queue_cut_ = cut;
    }
    restrain_all();
  };
  switch (action) {
    case spill_idle_conversations:  // whole pages are on disk already, where there is a store
    case shrink_caches:
      for (const Shelf::Lease& model : service_.shelf.all()) model->scheduler->trim();
      return;
    case stop_prefetching:  // nothing is read ahead
      return;
    case cut_queue:
      return set_queue(true);
    case release_idle_models:
      return service_.shelf.rest(std::chrono::milliseconds(0));
    case unload_secondary_models:
      return unload_secondary(service_.shelf);
    case unload_after_answer:
      return service_.shelf.hurry(true);
    case reload_lazily:
      return service_.shelf.hurry(false);
    case lift_limits:
      service_.shelf.hurry(false);
      return set_queue(false);
  }
}

void Caretaker::on_pace(const host::Pace& pace) {
  {
    const std::lock_guard lock(mutex_);
    pace_ = pace;
  }
  if (team_) team_->limit(host::scaled(team_->size(), pace.threads));
  if (service_.apps)
    service_.apps->tell("pacing", {{"power", pace.power},
                                   {"threads", pace.threads},
                                   {"prefill", pace.prefill},
                                   {"batch", pace.batch},
                                   {"background", pace.background}});
  restrain_all();
}

void Caretaker::look_around() {
  bool answering = false;
  Work done;
  std::map<const Model*, Work> now;
  for (const Shelf::Lease& model : service_.shelf.all()) {
    const SchedulerStatus status = model->scheduler->status();
    answering |= status.active > 0;
    const Work& before = work_before_[&*model];
    // Another model may have come where one was.
    if (status.generated_tokens >= before.tokens && status.busy_seconds >= before.seconds) {
      done.tokens += status.generated_tokens - before.tokens;
      done.seconds += status.busy_seconds - before.seconds;
    }
    now[&*model] = {status.generated_tokens, status.busy_seconds};
  }
  work_before_ = std::move(now);
  if (!answering) hold_.reset();
  if (answering && !hold_) hold_ = awake_.hold();
  if (service_.governor) service_.governor->worked(static_cast<double>(done.tokens), done.seconds);
  keep_within_share();
  if (!service_.apps) return;
  const std::uint64_t needed = service_.apps->refresh();
  if (service_.memory_lease && needed != std::exchange(reserved_, needed))
    service_.memory_lease->reserve(needed);
}

void Caretaker::tell_budget() const {
  if (!service_.apps) return;
  const host::MemoryStage stage = [&] {
    const std::lock_guard lock(mutex_);
    return stage_;
  }();
  const Ledger::Snapshot books = service_.ledger->snapshot();
  service_.apps->tell("budget_tightening", {{"stage", host::name(stage)},
                                            {"held", books.total().held},
                                            {"used", books.total().used},
                                            {"share", share()}});
}

std::uint64_t Caretaker::share() const {
  return service_.memory_lease ? service_.memory_lease->report().share : service_.ledger->snapshot().ceiling;
}

// What is held stays held, but what of it nobody uses goes back to the system.
void Caretaker::keep_within_share() {
  const Ledger::Snapshot books = service_.ledger->snapshot();
  const std::uint64_t share = this->share();
  const bool beyond = share > 0 && books.total().held > share;
  if (beyond && !beyond_share_) {
    service_.log.info("memory beyond its share held={} share={}", books.total().held, share);
    act(host::MemoryAction::shrink_caches);
    act(host::MemoryAction::release_idle_models);
  }
  beyond_share_ = beyond;
  if (!service_.apps) return;
  constexpr std::uint64_t kStep = 8;  // less than an eighth is told to nobody
  const bool tighter = share < share_told_ - share_told_ / kStep;
  if (tighter) tell_budget();
  if (tighter || share > share_told_) share_told_ = share;
}

void Caretaker::restrain_all() {
  for (const Shelf::Lease& model : service_.shelf.all()) restrain(*model);
}

void Caretaker::restrain(Model& model) const {
  const std::lock_guard lock(mutex_);
  const int slots = host::scaled(model.parallel, pace_.batch);
  model.scheduler->restrain({.active = queue_cut_ ? 1 : slots,
                             .chunk = host::scaled(model.engine->batch(), pace_.prefill),
                             .background = pace_.background && !queue_cut_});
}

}  // namespace medlar::server
