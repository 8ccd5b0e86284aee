#include "base/ledger.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace medlar {
namespace {

std::string in_megabytes(std::uint64_t bytes) { return fmt::format("{} MB", (bytes + 999'999) / 1'000'000); }

}  // namespace

std::string_view to_string(MemoryUse use) {
  constexpr std::array<std::string_view, kMemoryUses> kNames{"weights", "kv",     "cache",  "activations",
                                                             "scratch", "tables", "buffers"};
  return kNames[static_cast<std::size_t>(use)];
}

std::shared_ptr<Ledger> Ledger::make(std::uint64_t ceiling) {
  return std::shared_ptr<Ledger>(new Ledger(ceiling));
}

Ledger::Account Ledger::Snapshot::total() const {
  Account sum;
  for (const Account& account : accounts) sum.held += account.held, sum.used += account.used;
  return sum;
}

// With the mutex.
void Ledger::take(MemoryUse use, std::uint64_t bytes) {
  const std::uint64_t held = books_.total().held;
  if (books_.ceiling > 0 && (held > books_.ceiling || bytes > books_.ceiling - held))
    throw Error(
        ErrorKind::out_of_memory,
        fmt::format("{} for {} are more than the {} that are left of the limit of {}", in_megabytes(bytes),
                    to_string(use), in_megabytes(books_.ceiling - std::min(held, books_.ceiling)),
                    in_megabytes(books_.ceiling)),
        "use a smaller context or model, or raise --memory-limit");
  account(use).held += bytes;
  books_.peak = std::max(books_.peak, held + bytes);
}

Ledger::Charge Ledger::charge(MemoryUse use, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  take(use, bytes);
  return {shared_from_this(), use, bytes};
}

void Ledger::set_ceiling(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  books_.ceiling = bytes;
}

Ledger::Snapshot Ledger::snapshot() const {
  const std::lock_guard lock(mutex_);
  return books_;
}

Ledger::Charge::Charge(std::shared_ptr<Ledger> ledger, MemoryUse use, std::uint64_t bytes)
    : ledger_(std::move(ledger)), use_(use), held_(bytes) {}

Ledger::Charge::Charge(Charge&& other) noexcept
    : ledger_(std::move(other.ledger_)),
      use_(other.use_),
      held_(std::exchange(other.held_, 0)),
      used_(std::exchange(other.used_, 0)) {}

Ledger::Charge& Ledger::Charge::operator=(Charge&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  ledger_ = std::move(other.ledger_);
  use_ = other.use_;
  held_ = std::exchange(other.held_, 0);
  used_ = std::exchange(other.used_, 0);
  return *this;
}

void Ledger::Charge::set_used(std::uint64_t bytes) {
  if (!ledger_) return;
  const std::lock_guard lock(ledger_->mutex_);
  ledger_->account(use_).used += bytes - used_;
  used_ = bytes;
}

void Ledger::Charge::resize(std::uint64_t bytes) {
  if (!ledger_) return;
  const std::lock_guard lock(ledger_->mutex_);
  if (bytes > held_)
    ledger_->take(use_, bytes - held_);
  else
    ledger_->account(use_).held -= held_ - bytes;
  held_ = bytes;
}

void Ledger::Charge::give_back() {
  if (!ledger_) return;
  const std::lock_guard lock(ledger_->mutex_);
  ledger_->account(use_).held -= held_;
  ledger_->account(use_).used -= used_;
  held_ = used_ = 0;
}

}  // namespace medlar
