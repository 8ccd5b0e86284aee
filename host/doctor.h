// What stands in the way of running models well on this machine, and what to do about it.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/host.h"
#include "engine/gpus.h"

namespace medlar::store {
class Store;
}

namespace medlar::host {

// Ordered: a later one is worse. A problem keeps something from working, a warning makes it slow or risky.
enum class Severity : std::uint8_t { ok, note, warning, problem };
std::string_view name(Severity severity);

struct Finding {
  std::string id;  // "swap": of its check, and the same in every version
  Severity severity = Severity::ok;
  std::string what;   // one line
  std::string to_do;  // one line; empty where there is nothing to do
};

struct Patient {
  std::filesystem::path root = "/";  // the tree with proc/ and sys/, or a copy for tests
  HostInfo host;                     // of this tree
  std::vector<Gpu> gpus;
  std::string search_path;                    // PATH
  std::string forced_cpu;                     // MEDLAR_CPU
  store::Store* store = nullptr;              // nullptr: its checks are left out
  std::filesystem::path model;                // a file of the model in question; empty: none
  std::uint64_t model_bytes = 0;              // of all its files
  bool verify = false;                        // read every file of the store
  const std::atomic<bool>* cancel = nullptr;  // for verify
};

// All checks in their order, each with one finding or more. Takes up to some seconds for the speed of the
// disk, and with `verify` as long as reading the store. Throws Error(cancelled).
std::vector<Finding> examine(const Patient& patient);

// One check: what it finds. An Error that it throws becomes a problem of that name.
struct Check {
  std::string_view id;
  std::vector<Finding> (*run)(const Patient& patient);
};
std::span<const Check> machine_checks();  // processor, build, memory, power
std::span<const Check> process_checks();  // others on this machine, limits of this process
std::span<const Check> storage_checks();  // disks, the store, databases

}  // namespace medlar::host
