// The models in memory. Requests use them under leases; one that nobody uses rests after a while, and leaves.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/embedding.h"
#include "engine/scheduler.h"
#include "store/lock.h"

namespace medlar::server {

class Chat;

struct Model {
  Model();
  ~Model();

  std::vector<store::FileLock> in_use;  // its files, which nobody may delete meanwhile
  std::shared_ptr<Engine> engine;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<Chat> chat;
  std::vector<std::string> names;  // that it is asked for by, the one it is listed under first
  std::filesystem::path path;
  int parallel = 1;
  std::int64_t loaded = 0;             // seconds since 1970
  std::optional<Pooling> pooling;      // of embeddings; none: what the file says
  std::shared_ptr<Embedder> embedder;  // of the scheduler's engine

  const std::string& name() const { return names.front(); }
  // Case and a ":latest" at the end do not matter.
  bool has_name(std::string_view name) const;
};

// How long a model stays that nobody uses; nothing: for ever.
using KeepAlive = std::optional<std::chrono::milliseconds>;

class Shelf {
  struct Place;

 public:
  using Clock = std::chrono::steady_clock;

  Shelf();
  ~Shelf();

  // While it lives, its model stays.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept
        : shelf_(other.shelf_), place_(std::exchange(other.place_, nullptr)), uses_(other.uses_) {}
    Lease& operator=(Lease&& other) noexcept {
      std::swap(shelf_, other.shelf_);
      std::swap(place_, other.place_);
      std::swap(uses_, other.uses_);
      return *this;
    }
    ~Lease();
    explicit operator bool() const { return place_ != nullptr; }
    Model& operator*() const;
    Model* operator->() const { return &**this; }

    // From the end of its last use on.
    void keep(KeepAlive time) const;
    // When it will leave if nobody uses it any more; nothing: never.
    std::optional<std::chrono::system_clock::time_point> leaves() const;

   private:
    friend class Shelf;
    Lease(Shelf* shelf, Place* place, bool uses) : shelf_(shelf), place_(place), uses_(uses) {}
    Shelf* shelf_ = nullptr;
    Place* place_ = nullptr;
    bool uses_ = false;
  };

  // Any thread. The model of this name, "" for the one that was used last; empty where there is none. It
  // counts as used.
  Lease find(std::string_view name);
  // All, the one used last first; they do not count as used.
  std::vector<Lease> all();
  std::size_t size() const;

  // Makes its scheduler, with what belongs to it; throws what that throws.
  void add(std::unique_ptr<Model> model, const SchedulerOptions& scheduling, KeepAlive keep);
  // One thread at a time. No new leases, and waits until the last is given back, but not longer than this.
  // False: somebody still has one, and all is as it was. True where there is no such model. Unloading takes a
  // while.
  bool remove(std::string_view name, std::chrono::milliseconds patience);
  // Of the model whose last use is longest ago, of those in use only if all are; empty: there is none.
  std::string least_used() const;
  // Whether there is a model that nobody has used for so long.
  bool any_unused(std::chrono::milliseconds time) const;
  // From now on, or no more: whoever is not used leaves, whatever its keep-alive.
  void hurry(bool on);
  // Its time is over as soon as nobody uses it.
  void expire(std::string_view name);
  // Of those that nobody uses and whose time is over.
  std::vector<std::string> expired() const;
  // Those that nobody has used for so long give back what the next request takes again.
  void rest(std::chrono::milliseconds after);
  // Waits until something was given back or `until` is reached.
  void wait(Clock::time_point until);
  // remove() and wait() wait no longer.
  void stop_waiting();
  // Ends all requests and unloads all; then there is nothing to find, and leases are only to be given back.
  void close();

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Place> places_;  // an address is a lease's
  bool stopping_ = false, hurried_ = false;
};

}  // namespace medlar::server
