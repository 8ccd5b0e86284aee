// Memory over time while something runs: what the ledger's account says, and what the system says.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "base/ledger.h"
#include "base/process_memory.h"

namespace medlar::tune {

// Where the bytes of a process with one model are, so that they add up to what the system says is resident.
enum class MemoryPart : std::uint8_t {
  weights,      // pages of files that came in with the model, as the system says
  kv,           // the ledger's, as the next two
  activations,  // arenas of programs
  scratch,      // of threads
  rest,         // the program, its libraries, the vocabulary, and whatever the ledger does not know of
};
inline constexpr std::size_t kMemoryParts = 5;
std::string_view to_string(MemoryPart part);

struct MemorySample {
  double seconds = 0;  // since the watch began
  std::array<std::uint64_t, kMemoryParts> bytes{};
  std::uint64_t anonymous = 0, file = 0;  // the system's figures

  std::uint64_t operator[](MemoryPart part) const { return bytes[static_cast<std::size_t>(part)]; }
  std::uint64_t total() const;
};

// How `now` is shared out, `before` being the process without a model. Where the system does not tell files
// from the rest, weights are the ledger's.
MemorySample memory_sample(const Ledger::Snapshot& ledger, const ProcessMemory& before,
                           const ProcessMemory& now);

// Looks a hundred times a second, on a thread of its own. Of a long run it keeps samples further apart; peaks
// and means are of all.
class MemoryWatch {
 public:
  // `before`: the process without the model.
  MemoryWatch(std::shared_ptr<const Ledger> ledger, const ProcessMemory& before);
  ~MemoryWatch() { stop(); }
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  // How often it has looked. Any thread.
  std::size_t looks() const { return looks_.load(); }
  // Looks once more, and no more. What follows is for after it.
  void stop();
  const std::vector<MemorySample>& samples() const { return samples_; }
  // The most of each part, and of all together in `total`, at whatever time.
  struct Extent {
    std::array<double, kMemoryParts> parts{};
    double total = 0, anonymous = 0, file = 0;
  };
  const Extent& peak() const { return peak_; }
  Extent mean() const;  // over time

 private:
  using Clock = std::chrono::steady_clock;
  void look();
  void watch();

  std::shared_ptr<const Ledger> ledger_;
  ProcessMemory before_;
  Clock::time_point start_ = Clock::now();
  std::vector<MemorySample> samples_;
  std::size_t every_ = 1;  // of so many looks, samples_ keeps one
  std::atomic<std::size_t> looks_ = 0;
  MemorySample last_;
  Extent peak_, sum_;  // the sum: bytes times seconds
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace medlar::tune
