#include "server/caretaker.h"

#include <string>
#include <vector>

namespace medlar::server {
namespace {

// All but the one that was used last, as far as nobody uses them.
void unload_secondary(Shelf& shelf) {
  std::vector<std::string> names;
  for (const Shelf::Lease& model : shelf.all()) names.push_back(model->name());
  for (std::size_t i = 1; i < names.size(); ++i) shelf.expire(names[i]);
}

// Near where the processor slows itself down, or there.
bool is_hot(const host::ThermalSignal& thermal) {
  constexpr double kNear = 10;  // degrees
  if (thermal.state >= host::ThermalState::serious) return true;
  return thermal.celsius && thermal.limit && *thermal.celsius > *thermal.limit - kNear;
}

}  // namespace

void Caretaker::on_memory(host::MemoryStage stage, std::span<const host::MemoryAction> actions) {
  service_.log.info("memory stage={}", host::name(stage));
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
  const bool hot = service_.governor && is_hot(service_.governor->snapshot().thermal);
  {
    const std::lock_guard lock(mutex_);
    pace_ = pace;
    work_ = hot ? pace.power : 1;
  }
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
}

void Caretaker::restrain_all() {
  for (const Shelf::Lease& model : service_.shelf.all()) restrain(*model);
}

void Caretaker::restrain(Model& model) const {
  const std::lock_guard lock(mutex_);
  const int slots = host::scaled(model.parallel, pace_.batch);
  model.scheduler->restrain({.active = queue_cut_ ? 1 : slots,
                             .chunk = host::scaled(model.engine->batch(), pace_.prefill),
                             .work = work_,
                             .background = pace_.background && !queue_cut_});
}

}  // namespace medlar::server
