// A ledger for each device with memory of its own.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/ledger.h"

namespace medlar {

// Any thread.
class DeviceLedgers {
 public:
  // That of the device with this number (runtime::DeviceMemory), made when it is first asked for.
  std::shared_ptr<Ledger> of(int number) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Ledger>& ledger = ledgers_[number];
    if (!ledger) ledger = Ledger::make();
    return ledger;
  }
  // Those there are, by number.
  std::vector<std::pair<int, Ledger::Snapshot>> snapshots() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<int, Ledger::Snapshot>> all;
    for (const auto& [number, ledger] : ledgers_) all.emplace_back(number, ledger->snapshot());
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::map<int, std::shared_ptr<Ledger>> ledgers_;
};

}  // namespace medlar
