// What a server does when the machine runs out of memory, gets hot or runs on its battery.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/team.h"
#include "host/awake.h"
#include "host/governor.h"
#include "server/service.h"

namespace medlar::server {

// Of the models in memory, also of those that come later. Answers in progress go on.
class Caretaker : public host::Responder {
 public:
  // `service` must outlive it. `team` runs all models; null: nobody's threads are limited.
  Caretaker(Service& service, std::shared_ptr<Team> team) : service_(service), team_(std::move(team)) {}

  void on_memory(host::MemoryStage stage, std::span<const host::MemoryAction> actions) override;
  void on_pace(const host::Pace& pace) override;

  // To be called about once a second: keeps the machine awake while requests are answered, and tells the
  // governor what was done; gives back what nobody uses when other programs' shares grow. One thread.
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
  void keep_within_share();
  void tell_budget() const;
  std::uint64_t share() const;  // of the machine's memory, in bytes; 0: all

  Service& service_;
  const std::shared_ptr<Team> team_;
  host::Awake awake_{"answering"};
  std::optional<host::Awake::Hold> hold_;
  std::map<const Model*, Work> work_before_;
  std::uint64_t share_told_ = 0, reserved_ = 0;  // bytes; of look_around()'s thread
  bool beyond_share_ = false;                    // the ledger holds more than that
  mutable std::mutex mutex_;
  host::Pace pace_;
  bool queue_cut_ = false;
  host::MemoryStage stage_ = host::MemoryStage::normal;
};

}  // namespace medlar::server
