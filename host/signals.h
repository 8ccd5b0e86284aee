// What the machine says about memory, heat and power, and the interface of those who listen to it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace medlar::host {

// Always passed in, so that a simulation can have a time of its own.
using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Duration = Clock::duration;

// Ordered: a later one is worse.
enum class MemoryPressure : std::uint8_t { normal, warning, critical };
// Apple's words, for every system: nominal; fair: warm; serious: the processor is slowed down or soon will
// be; critical: the machine is about to protect itself.
enum class ThermalState : std::uint8_t { nominal, fair, serious, critical };
std::string_view name(MemoryPressure pressure);
std::string_view name(ThermalState state);

// Of this moment. A source whose pressure lasts says it again at least every second; nobody needs to say that
// it is over.
struct MemorySignal {
  MemoryPressure pressure = MemoryPressure::normal;
  std::optional<double> free_share;  // of the memory that this process may use; where known

  friend bool operator==(const MemorySignal&, const MemorySignal&) = default;
};

// Holds until the next one.
struct ThermalSignal {
  ThermalState state = ThermalState::nominal;
  std::optional<double> celsius;  // of the processor
  std::optional<double> limit;    // degrees at which it is slowed down

  friend bool operator==(const ThermalSignal&, const ThermalSignal&) = default;
};

// Holds until the next one.
struct PowerSignal {
  bool mains = true;             // also where there is no battery
  bool low_power = false;        // the user asked the machine to save power
  std::optional<double> charge;  // of the battery, 0 to 1

  friend bool operator==(const PowerSignal&, const PowerSignal&) = default;
};

using Signal = std::variant<MemorySignal, ThermalSignal, PowerSignal>;

// "memory warning, 6% free", "heat fair, 81 C", "power battery, 43%".
std::string describe(const Signal& signal);

// Something that tells signals. One thread waits for all sources: until a descriptor is ready or the time
// comes, then it calls read().
class Source {
 public:
  virtual ~Source() = default;
  virtual std::string_view name() const = 0;  // "/proc/pressure/memory", for people
  // To poll(2) for: -1 where there is none.
  virtual int descriptor() const { return -1; }
  virtual short poll_events() const;  // POLLIN
  // When read() is due even if the descriptor is not ready; nullopt: never.
  virtual std::optional<Time> due() const { return std::nullopt; }
  // What there is to say now; often nothing. `events` is what poll(2) returned for the descriptor, 0 where
  // only the time came. Never throws: a source that fails falls silent, and gives up its descriptor.
  virtual std::vector<Signal> read(Time now, short events) = 0;
};
using Sources = std::vector<std::unique_ptr<Source>>;

struct SourceOptions {
  std::filesystem::path root = "/";  // Linux: the tree with proc/, sys/ and var/, or a copy for tests
  std::vector<std::string>* missing = nullptr;  // receives one line for each source that this machine lacks
};

// Every source that works here; those of other systems do not exist.
Sources system_sources(const SourceOptions& options = {});
// Linux alone, compiled everywhere but without descriptors outside Linux.
Sources linux_sources(const SourceOptions& options);

// Calls `read` at `first` and then every `interval` that it returns: how sources without descriptors look.
std::unique_ptr<Source> make_polled(std::string name, Time first,
                                    std::function<Duration(Time now, std::vector<Signal>&)> read);

}  // namespace medlar::host
