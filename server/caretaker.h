// What a server does when the machine runs out of memory, gets hot or runs on its battery.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "host/awake.h"
#include "host/governor.h"
#include "server/service.h"

namespace medlar::server {

// Of the models in memory, also of those that come later. Answers in progress go on.
class Caretaker : public host::Responder {
 public:
  // `service` must outlive it.
  explicit Caretaker(Service& service) : service_(service) {}

  void on_memory(host::MemoryStage stage, std::span<const host::MemoryAction> actions) override;
  void on_pace(const host::Pace& pace) override;

  // To be called about once a second: keeps the machine awake while requests are answered, and tells the
  // governor what was done. One thread.
  void look_around();
  // A model that has just been loaded.
  void restrain(Model& model) const;

 private:
  struct Work {
    std::int64_t tokens = 0;
    double seconds = 0;
  };

  void act(host::MemoryAction action);
  void restrain_all();

  Service& service_;
  host::Awake awake_{"answering"};
  std::optional<host::Awake::Hold> hold_;
  std::map<const Model*, Work> work_before_;
  mutable std::mutex mutex_;
  host::Pace pace_;
  double work_ = 1;  // pausing saves no energy for a token, it only lets the machine cool down
  bool queue_cut_ = false;
};

}  // namespace medlar::server
