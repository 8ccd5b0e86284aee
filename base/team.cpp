// The thread team: gates (a counter one thread raises and one waits for) and the barrier made of them.
#include "base/team.h"

#include <algorithm>
#include <array>
#include <bit>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <mutex>
#include <string>
#include <system_error>

#include <pthread.h>
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/assert.h"
#include "base/error.h"

namespace medlar {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kMaxRounds = 10;           // log2(kMaxThreads)
constexpr std::size_t kCacheLine = 128;  // Apple's line; x86 fetches pairs of 64

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

void enter_worker(int member, const std::vector<int>& cpus) {
  const std::string name = "medlar-" + std::to_string(member);
#if defined(__APPLE__)
  constexpr unsigned kUserInitiated = 0x19;  // QOS_CLASS_USER_INITIATED: performance cores, not throttled
  pthread_set_qos_class_self_np(static_cast<qos_class_t>(kUserInitiated), 0);
  pthread_setname_np(name.c_str());
#elif defined(__linux__)
  pthread_setname_np(pthread_self(), name.c_str());
  if (!cpus.empty()) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpus[static_cast<std::size_t>(member) % cpus.size()], &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);  // a refusal costs speed, not correctness
  }
#endif
}

}  // namespace

// A count that one thread raises and one other waits for. The waiter announces that it sleeps before it looks
// at the count for the last time, and the raiser looks for the announcement after it has raised the count;
// both sequentially consistent, so one of the two sees the other.
class alignas(kCacheLine) Team::Gate {
 public:
  void raise(std::uint64_t count) {
    count_.store(count, std::memory_order_seq_cst);
    if (!asleep_.load(std::memory_order_seq_cst)) return;
    const std::lock_guard lock(mutex_);
    wake_.notify_one();
  }

  void wait(std::uint64_t count, std::chrono::nanoseconds spin) {
    if (spin_until(count, spin)) return;
    std::unique_lock lock(mutex_);
    asleep_.store(true, std::memory_order_seq_cst);
    wake_.wait(lock, [&] { return count_.load(std::memory_order_seq_cst) >= count; });
    asleep_.store(false, std::memory_order_relaxed);
  }

 private:
  bool reached(std::uint64_t count) const { return count_.load(std::memory_order_acquire) >= count; }

  bool spin_until(std::uint64_t count, std::chrono::nanoseconds spin) const {
    constexpr int kLooksPerClock = 64;  // reading the clock costs as much as several looks
    if (reached(count)) return true;
    if (spin.count() == 0) return false;
    const auto deadline = std::chrono::steady_clock::now() + spin;
    do {
      for (int i = 0; i < kLooksPerClock; ++i) {
        if (reached(count)) return true;
        relax();
      }
    } while (std::chrono::steady_clock::now() < deadline);
    return false;
  }

  std::atomic<std::uint64_t> count_{0};
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

// A member's part in a barrier.
struct Team::Meeting {
  std::uint64_t passed = 0;            // by this member; only it touches this
  std::array<Gate, kMaxRounds> gates;  // gate r is raised by the member 2^r places before this one
};

// Which member raises a gate depends on how many take part. Runs differ in that, but no late raise of one run
// meets a gate in the next: whoever enters the barrier of all has left those of the active members.
struct Team::Member {
  Meeting all;     // before and after each run
  Meeting active;  // within it
};

Team::Team(const TeamOptions& options) : size_(options.threads), limit_(options.threads) {
  if (size_ < 1 || size_ > kMaxThreads) {
    fail(ErrorKind::usage, "{} threads: must be 1 to {}", size_, kMaxThreads);
  }
#if defined(__linux__)
  for (const int cpu : options.cpus) {
    if (cpu < 0 || cpu >= CPU_SETSIZE) fail(ErrorKind::usage, "cannot pin a thread to processor {}", cpu);
  }
#endif
  const bool crowded = static_cast<unsigned>(size_) > std::max(1U, std::thread::hardware_concurrency());
  spin_ = crowded ? std::chrono::nanoseconds(0) : std::chrono::nanoseconds(options.spin);
  members_ = std::make_unique<Member[]>(static_cast<std::size_t>(size_));
  std::promise<bool> complete;  // false: some thread could not be made, so the others leave
  const std::shared_future<bool> started = complete.get_future().share();
  threads_.reserve(static_cast<std::size_t>(size_ - 1));
  try {
    for (int member = 1; member < size_; ++member) {
      threads_.emplace_back([this, member, started, cpus = options.cpus] {
        if (!started.get()) return;
        enter_worker(member, cpus);
        work(member);
      });
    }
  } catch (const std::system_error& e) {
    complete.set_value(false);
    for (std::thread& thread : threads_) thread.join();
    throw Error(
        ErrorKind::out_of_memory,
        fmt::format("cannot start thread {} of {}: {}", threads_.size() + 2, size_, e.what()),
        "use fewer threads (--threads N), or raise the process limit (ulimit -u) or the memory limit");
  }
  complete.set_value(true);
}

Team::~Team() {
  if (size_ == 1) return;
  job_ = {};
  meet(&Member::all, 0, size_, spin_);
  for (std::thread& thread : threads_) thread.join();
}

void Team::limit(int members) { limit_.store(std::clamp(members, 1, size_), std::memory_order_relaxed); }

// A run is a barrier that hands out the job and a barrier that ends it.
void Team::run_job(Job job) {
  const std::lock_guard turn(running_);
  job.members = limit_.load(std::memory_order_relaxed);
  job.barriers = members_[0].active.passed;
  job_ = job;
  meet(&Member::all, 0, size_, spin_);
  take_part(0);
  meet(&Member::all, 0, size_, spin_);
}

// Members that were left out of earlier runs have passed fewer barriers than the others.
void Team::take_part(int member) {
  members_[static_cast<std::size_t>(member)].active.passed = job_.barriers;
  job_.call(job_.context, member);
}

void Team::work(int member) {
  bool active = true;
  for (;;) {
    meet(&Member::all, member, size_, active ? spin_ : std::chrono::nanoseconds(0));
    if (job_.call == nullptr) return;
    active = member < job_.members;
    if (active) take_part(member);
    meet(&Member::all, member, size_, active ? spin_ : std::chrono::nanoseconds(0));
  }
}

void Team::barrier(int member) { meet(&Member::active, member, job_.members, spin_); }

void Team::meet(Meeting Member::* where, int member, int members, std::chrono::nanoseconds spin) {
  Meeting& self = members_[static_cast<std::size_t>(member)].*where;
  const std::uint64_t count = ++self.passed;
  const int rounds = std::bit_width(static_cast<unsigned>(members - 1));
  for (int round = 0; round < rounds; ++round) {
    const int next = (member + (1 << round)) % members;
    const auto r = static_cast<std::size_t>(round);
    (members_[static_cast<std::size_t>(next)].*where).gates[r].raise(count);
    self.gates[r].wait(count, spin);
  }
}

}  // namespace medlar
