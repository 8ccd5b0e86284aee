// The governor: what it tells its responder, in virtual time, on its own thread, and inside a real group.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "host/governor.h"

namespace medlar::host {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using enum MemoryStage;

// Remembers what it was told, and lets a test wait for it.
class Recorder : public Responder {
 public:
  void on_memory(MemoryStage stage, std::span<const MemoryAction> asked) override {
    EXPECT_TRUE(std::ranges::equal(asked, actions(stage)));
    const std::lock_guard lock(mutex_);
    stages_.push_back(stage);
    changed_.notify_all();
  }
  void on_pace(const Pace& pace) override {
    const std::lock_guard lock(mutex_);
    paces_.push_back(pace);
    changed_.notify_all();
  }
  // Without repetitions.
  std::vector<MemoryStage> stages() const {
    const std::lock_guard lock(mutex_);
    std::vector<MemoryStage> changes = stages_;
    changes.erase(std::unique(changes.begin(), changes.end()), changes.end());
    return changes;
  }
  std::vector<Pace> paces() const {
    const std::lock_guard lock(mutex_);
    return paces_;
  }
  bool wait_for_stage(MemoryStage stage) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(60), [&] { return !stages_.empty() && stages_.back() == stage; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<MemoryStage> stages_;
  std::vector<Pace> paces_;
};

GovernorOptions quick() {
  return {
      .ladder = {.quiet = milliseconds(20), .longest_quiet = milliseconds(40), .recovery = milliseconds(20)},
      .pacing = {.interval = milliseconds(5)}};
}

Sources only(std::unique_ptr<Source> source) {
  Sources sources;
  sources.push_back(std::move(source));
  return sources;
}

TEST(GovernorInVirtualTime, TheWholeLadder) {
  Recorder recorder;
  const GovernorSnapshot end =
      simulate(parse_script("10 memory warning\n12 memory critical for 3\n", "test"), recorder, seconds(60));
  EXPECT_THAT(recorder.stages(), ElementsAre(warning, critical, warning, recovering, normal));
  EXPECT_EQ(end.stage, normal);
  EXPECT_EQ(end.stage_changes, 5);
  EXPECT_EQ(end.last_signal, "memory critical");
  EXPECT_EQ(end.since_signal, seconds(60));
  EXPECT_EQ(end.in_stage, seconds(60 - 12));
}

TEST(GovernorInVirtualTime, BatteryAndLowPowerChangeThePace) {
  Recorder recorder;
  simulate(parse_script("5 power battery 0.8\n10 power battery low 0.8\n15 power battery 0.1\n20 power mains",
                        "test"),
           recorder, seconds(5));
  const std::vector<Pace> paces = recorder.paces();
  ASSERT_EQ(paces.size(), 3U);  // low power and nearly empty are the same
  EXPECT_LT(paces[0].power, 1);
  EXPECT_TRUE(paces[0].background);
  EXPECT_LT(paces[1].power, paces[0].power);
  EXPECT_FALSE(paces[1].background);
  EXPECT_EQ(paces[1].speculation, 0);
  EXPECT_EQ(paces[2], Pace{});
}

TEST(GovernorInVirtualTime, WithoutSignalsNothingIsDone) {
  Recorder recorder;
  const GovernorSnapshot end = simulate({}, recorder, std::chrono::hours(24));
  EXPECT_TRUE(recorder.stages().empty());
  EXPECT_TRUE(recorder.paces().empty());
  EXPECT_EQ(end.stage_changes, 0);
}

TEST(GovernorThread, CarriesOutAScript) {
  Recorder recorder;
  const Governor governor(
      only(make_scripted(parse_script("0 memory critical\n0.01 power battery 0.5", "test"), Clock::now())),
      recorder, quick());
  ASSERT_TRUE(recorder.wait_for_stage(normal));
  EXPECT_THAT(recorder.stages(), ElementsAre(critical, warning, recovering, normal));
  const GovernorSnapshot snapshot = governor.snapshot();
  EXPECT_EQ(snapshot.stage, normal);
  EXPECT_GT(snapshot.slowest_reaction, Duration{});
  EXPECT_THAT(snapshot.sources, ElementsAre("script"));
}

TEST(GovernorThread, HearsWhatItIsTold) {
  Recorder recorder;
  Governor governor({}, recorder, quick());
  for (int i = 0; i < 3; ++i) {
    governor.tell(ThermalSignal{.state = ThermalState::critical});
    governor.tell(MemorySignal{.pressure = MemoryPressure::warning});
    ASSERT_TRUE(recorder.wait_for_stage(normal));
  }
  EXPECT_EQ(governor.snapshot().thermal.state, ThermalState::critical);
}

TEST(GovernorThread, EndsAtOnceInAnyStage) {
  for (int i = 0; i < 20; ++i) {
    Recorder recorder;
    Governor governor({}, recorder);
    if (i % 2 == 0) governor.tell(MemorySignal{.pressure = MemoryPressure::critical});
  }
}

// A responder may ask for a snapshot, and may throw.
TEST(GovernorThread, ResponderMayAskAndThrow) {
  struct Curious : Responder {
    void on_memory(MemoryStage stage, std::span<const MemoryAction>) override {
      const Governor* g = governor.load();
      if (g != nullptr && g->snapshot().stage == stage) agreed = true;
      if (stage == normal) ended = true;
      throw std::runtime_error("no");
    }
    void on_pace(const Pace&) override {}
    std::atomic<const Governor*> governor = nullptr;
    std::atomic<bool> agreed = false, ended = false;
  } curious;
  Governor governor({}, curious, quick());
  curious.governor = &governor;
  governor.tell(MemorySignal{.pressure = MemoryPressure::warning});
  while (!curious.ended) std::this_thread::yield();
  EXPECT_TRUE(curious.agreed);
}

TEST(GovernorThread, ManyThreadsAtOnce) {
  Recorder recorder;
  Governor governor(system_sources(), recorder, quick());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&governor, t] {
      for (int i = 0; i < 200; ++i) {
        if (t == 0) governor.tell(MemorySignal{.pressure = static_cast<MemoryPressure>(i % 3)});
        if (t == 1) governor.worked(1, 0.01);
        if (t >= 2) {
          EXPECT_GE(governor.snapshot().stage_changes, 0);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// A source whose descriptor goes away must leave the thread asleep.
TEST(GovernorThread, SourceThatFallsSilent) {
  struct Broken : Source {
    std::string_view name() const override { return "broken"; }
    int descriptor() const override { return reads == 0 ? file : -1; }
    std::vector<Signal> read(Time, short) override {
      ++reads;
      return {};
    }
    int file = ::dup(0);
    std::atomic<int> reads = 0;
  };
  auto broken = std::make_unique<Broken>();
  ::close(broken->file);
  const Broken& kept = *broken;
  Recorder recorder;
  Governor governor(only(std::move(broken)), recorder, quick());
  governor.tell(MemorySignal{.pressure = MemoryPressure::warning});
  ASSERT_TRUE(recorder.wait_for_stage(normal));
  EXPECT_EQ(kept.reads, 1);
}

#if defined(__linux__)

constexpr std::size_t kGroupLimit = std::size_t{96} << 20;

// A group of memory with a limit, of whichever version can be made here; removed at the end.
class TestGroup {
 public:
  TestGroup() {
    namespace fs = std::filesystem;
    std::error_code error;
    const auto make = [&](const fs::path& parent, const char* limit) {
      folder_ = parent / ("medlar-test-" + std::to_string(::getpid()));
      if (!fs::create_directory(folder_, error)) return false;
      std::ofstream(folder_ / limit) << kGroupLimit;
      if (std::ifstream(folder_ / limit) >> limit_ && limit_ == kGroupLimit) return true;
      ::rmdir(folder_.c_str());
      return false;
    };
    const auto v2 = find_cgroup("/", "");
    const auto v1 = find_cgroup("/", "memory");
    made_ = (v2 && make(v2->top, "memory.max")) || (v1 && make(v1->top, "memory.limit_in_bytes"));
  }
  ~TestGroup() {
    if (made_) ::rmdir(folder_.c_str());
  }
  bool made() const { return made_; }
  bool join() const { return static_cast<bool>(std::ofstream(folder_ / "cgroup.procs") << ::getpid()); }

 private:
  std::filesystem::path folder_;
  std::size_t limit_ = 0;
  bool made_ = false;
};

// 0: the ladder rose while memory was held and fell when it was given back.
int rise_and_fall_in_group(const TestGroup& group) {
  if (!group.join()) return 2;
  Recorder recorder;
  const Governor governor(system_sources(), recorder, quick());
  constexpr std::size_t kHeld = kGroupLimit / 100 * 92;
  void* memory = ::mmap(nullptr, kHeld, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 3;
  std::memset(memory, 1, kHeld);
  if (!recorder.wait_for_stage(warning) && !recorder.wait_for_stage(critical)) return 4;
  ::munmap(memory, kHeld);
  return recorder.wait_for_stage(normal) ? 0 : 5;
}

// A sanitizer needs more memory than the group has, and cannot start threads in a child.
constexpr bool kSanitized =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    true;
#else
    false;
#endif
#else
    false;
#endif

TEST(GovernorInAGroup, RisesAndFallsWithItsMemory) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer does not fit into the group";
  const TestGroup group;
  if (!group.made()) GTEST_SKIP() << "this machine lets nobody make a control group with a memory limit";
  const pid_t child = ::fork();
  if (child == 0) ::_exit(rise_and_fall_in_group(group));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

#endif

}  // namespace
}  // namespace medlar::host
