// What all handlers share: the model that is loaded, the metrics, the log, and what some routes need beside.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "engine/embedding.h"
#include "engine/scheduler.h"
#include "server/metrics.h"
#include "store/lock.h"

namespace medlar::server {

class Chat;
class History;
class ResponseStore;
template <class Store>
class Desk;
class Models;

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

// Requests use the model under a lease; it is exchanged only while there is none. Any thread.
class Service {
 public:
  explicit Service(Logger logger) : log(std::move(logger)) {}

  // While it lives, model() stays what it is.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept : service_(std::exchange(other.service_, nullptr)) {}
    Lease& operator=(Lease&& other) noexcept {
      std::swap(service_, other.service_);
      return *this;
    }
    ~Lease() {
      if (service_) service_->give_back();
    }
    explicit operator bool() const { return service_ != nullptr; }

   private:
    friend class Service;
    explicit Lease(Service* service) : service_(service) {}
    Service* service_ = nullptr;
  };

  // Throws ApiError: 503 while a model is being loaded or unloaded, 404 where there is none.
  Lease lease();
  Lease lease_if_ready();
  // Throws ApiError(503) while lease() does.
  void require_not_loading() const;
  // The model. Under a lease.
  Model& model() const;
  // The model, if it has this name; "" stands for whichever there is. Throws ApiError(404) naming the one
  // that there is. Under a lease.
  Model& model(std::string_view name) const;

  // For one thread that changes models at a time. From begin to end those who find no model are told to wait;
  // it has begun when the service is made.
  void begin_loading();
  void end_loading();
  // No new leases, and waits until the last is given back, but not longer than this. False: somebody still
  // has one, and all is as it was.
  bool retire(std::chrono::milliseconds patience);
  // After retire(): unloads what there is, and puts `next`, whose scheduler is made now, in its place; null:
  // nothing. Throws what making a scheduler throws; then there is no model.
  void replace(std::unique_ptr<Model> next, const SchedulerOptions& scheduling);
  // retire() waits no longer.
  void stop_waiting();

  // By when a request that comes now must have been admitted: after the seconds that it allows itself, else
  // after the server's own limit, where there is one.
  std::optional<std::chrono::steady_clock::time_point> queue_deadline(std::optional<double> seconds) const;
  // Ends all requests and unloads the model. No handler may run any more.
  void close();

  const Logger log;
  Metrics metrics;
  Models* models = nullptr;
  Desk<History>* history = nullptr;
  Desk<ResponseStore>* responses = nullptr;
  double queue_timeout = 0;  // seconds that a request may wait; 0: without end

 private:
  void give_back();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Model> model_;  // changes only while nobody has a lease
  bool open_ = true;              // to new leases
  bool loading_ = true, stopping_ = false;
  int leases_ = 0;
};

}  // namespace medlar::server
