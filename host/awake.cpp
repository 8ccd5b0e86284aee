#include "host/awake.h"

#include <chrono>
#include <mutex>
#include <optional>
#include <utility>

namespace medlar::host {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kAskAgain = std::chrono::minutes(1);

std::unique_ptr<SleepLock> lock_of_this_system(const std::string& reason) {
#if defined(__APPLE__)
  return lock_by_iokit(reason);
#else
  return lock_by_logind(reason);
#endif
}

}  // namespace

struct Awake::State {
  std::string reason;
  std::mutex mutex;
  int holds = 0;
  std::unique_ptr<SleepLock> lock;
  std::optional<Clock::time_point> refused;

  void add() {
    const std::lock_guard guard(mutex);
    ++holds;
    if (lock != nullptr || (refused && Clock::now() - *refused < kAskAgain)) return;
    lock = lock_of_this_system(reason);
    if (lock == nullptr) refused = Clock::now();
  }
  void remove() {
    const std::lock_guard guard(mutex);
    if (--holds == 0) lock.reset();
  }
};

Awake::Awake(std::string reason) : state_(std::make_shared<State>()) { state_->reason = std::move(reason); }

Awake::Hold Awake::hold() {
  state_->add();
  return Hold(std::shared_ptr<void>(nullptr, [state = state_](void*) { state->remove(); }));
}

bool Awake::locked() const {
  const std::lock_guard guard(state_->mutex);
  return state_->lock != nullptr;
}

}  // namespace medlar::host
