// A process's part of the memory that it shares with other processes of Medlar, through a file that all read
// and each writes its own record of. docs/apps.md is its page.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ledger.h"
#include "base/log.h"
#include "host/lease_record.h"

namespace medlar::host {

inline constexpr std::string_view kLeaseFileName = "leases";  // in MEDLAR_HOME
// Bytes for requests and answers on their way, which a process needs beside what it holds.
inline constexpr std::uint64_t kLeaseWorking = 64 << 20;

struct MemoryLeaseOptions {
  std::filesystem::path file;
  std::string name;  // of the program, to show
  LeasePriority priority = LeasePriority::interactive;
  std::uint64_t most = 0;          // bytes that this process takes in any case; 0: what it may
  std::shared_ptr<Ledger> ledger;  // what it has; null: nothing, until hold()
  // Told of each new share, in bytes and never 0; the first time before the constructor returns. Any thread,
  // one at a time; it must not call back.
  std::function<void(std::uint64_t share)> on_share;
  // What all processes may have together, when they use so many bytes beside their models; unset: that, and
  // what the machine can spare.
  std::function<std::uint64_t(std::uint64_t used)> total;
  Logger log;
};

// From its construction on this process is known to the others: a thread says four times a second what it
// has, and reads what they have. A file that cannot be used stops nobody: then this process is alone, and
// says why. Any thread. One a process.
class MemoryLease {
 public:
  explicit MemoryLease(MemoryLeaseOptions options);
  ~MemoryLease();
  MemoryLease(const MemoryLease&) = delete;
  MemoryLease& operator=(const MemoryLease&) = delete;

  // While it lives, this process wants all it can get, to load something: what others do not use of their
  // shares becomes its own.
  class Asking;
  [[nodiscard]] Asking ask();
  // While it lives, the file's pages are shared with all others that map it. To be said before it is loaded.
  // `bytes`: of its weights; 0: as large as the file.
  class Mapping;
  [[nodiscard]] Mapping map(const std::filesystem::path& model, std::uint64_t bytes = 0);
  // Bytes that this process cannot do without, its models included; others leave it as much.
  void reserve(std::uint64_t bytes);
  // Without a ledger: what it holds beside its models, and that it will take no more.
  void hold(std::uint64_t bytes);

  struct Member {
    std::int32_t pid = 0;
    std::string name;
    LeasePriority priority = LeasePriority::interactive;
    std::uint64_t share = 0, held = 0, models = 0;  // bytes; `share` includes its models, `held` does not
    bool own = false;
  };
  struct Report {
    std::uint64_t total = 0, share = 0;  // bytes, of all and of this process
    std::vector<Member> members;         // this process among them
    std::string problem;                 // why this process is alone; empty: it is not kept from the others
  };
  Report report() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

class MemoryLease::Asking {
 public:
  Asking(Asking&&) noexcept = default;
  Asking& operator=(Asking&&) = delete;
  ~Asking();

 private:
  friend class MemoryLease;
  explicit Asking(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

class MemoryLease::Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&&) noexcept = default;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping() { end(); }

  void resize(std::uint64_t bytes);

 private:
  friend class MemoryLease;
  Mapping(std::shared_ptr<Impl> impl, LeasedModel model) : impl_(std::move(impl)), model_(model) {}
  void end();
  std::shared_ptr<Impl> impl_;
  LeasedModel model_;
};

}  // namespace medlar::host
