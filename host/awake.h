// Keeps the machine from falling asleep while somebody needs it awake.
#pragma once

#include <memory>
#include <string>
#include <utility>

namespace medlar::host {

// A promise of the operating system not to sleep by itself; given up by the destructor.
class SleepLock {
 public:
  virtual ~SleepLock() = default;
};

// One lock for all who ask. Any thread may call. Closing the lid still sends a laptop to sleep.
class Awake {
 public:
  // `reason` is shown to users by their system: "answering".
  explicit Awake(std::string reason);

  // While one lives, the machine stays awake. May outlive the Awake. Move-only.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&&) = default;
    Hold& operator=(Hold&&) = default;

   private:
    friend class Awake;
    explicit Hold(std::shared_ptr<void> held) : held_(std::move(held)) {}
    std::shared_ptr<void> held_;
  };
  // Takes the lock where nobody else holds it: a few milliseconds of asking, a second at most. Where the
  // system has no such lock, it holds nothing, and asks again after a minute.
  Hold hold();
  bool locked() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// What the systems offer; nullptr where there is none.
std::unique_ptr<SleepLock> lock_by_logind(const std::string& reason);  // Linux, through libsystemd
std::unique_ptr<SleepLock> lock_by_iokit(const std::string& reason);   // macOS

}  // namespace medlar::host
