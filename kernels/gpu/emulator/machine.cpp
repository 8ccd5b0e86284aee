#include "kernels/gpu/emulator/machine.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/error.h"
#include "base/page_memory.h"
#include "kernels/gpu/emulator/fiber.h"
#include "kernels/gpu/emulator/fragments.h"
#include "kernels/gpu/emulator/sanitizers.h"
#include "kernels/gpu/emulator/threadgroup_memory.h"

namespace medlar::emulator {
namespace {

#ifdef MEDLAR_EMULATOR_ASAN
constexpr std::size_t kStackBytes = 256 << 10;  // redzones
#else
constexpr std::size_t kStackBytes = 64 << 10;
#endif
constexpr std::uint32_t kMaxThreads = 1024;

#ifdef MEDLAR_EMULATOR_TSAN
constexpr bool kFreshMemory = true;  // mapping anew is what makes ThreadSanitizer forget the last threadgroup
#else
constexpr bool kFreshMemory = false;
#endif

enum class State : std::uint8_t { ready, waiting, ended };

struct Thread {
  Fiber fiber;
  ThreadPosition at;
  State state = State::ready;
  bool waited = false;  // for what runs before the launch
};

// Copies that somebody has yet to wait for.
struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
};

// A barrier of phases, in the 8 bytes that a kernel has for it.
struct Phase {
  std::int32_t bytes = 0;  // still to come
  std::uint8_t parity = 0, count = 0, missing = 0;
};
static_assert(sizeof(Phase) == sizeof(std::uint64_t));

// Where the lanes of one simdgroup meet.
struct MeetingPoint {
  std::uint32_t arrived = 0;
  Meeting meeting;
  std::array<const void*, kSimdWidth> in{};
  std::array<void*, kSimdWidth> out{};
};

}  // namespace

class Scheduler {
 public:
  explicit Scheduler(const MachineOptions& options)
      : options_(options),
        fragments_(emulator::fragment_map(options.fragments)),
        memory_(options.threadgroup_bytes),
        random_(options.seed) {}
  ~Scheduler() {
    for (Thread& t : threads_) retire(t.fiber);
  }

  LaunchCounts run(const Launch& launch);

  // --- called from the fibers
  const ThreadPosition& position() const { return current_->at; }
  const FragmentMap& fragments() const { return fragments_; }
  void wait_previous();
  void barrier(int line);
  void meet(const Meeting& meeting, const void* in, void* out);
  void* threadgroup_array(int id, std::size_t bytes);
  void copy_later(const void* key, void* to, const void* from, std::size_t bytes);
  void wait_copies(const void* key, int line);
  void* large_memory() { return memory_.large(launch_->large_bytes); }
  void phase_arrive(Phase& phase, std::uint32_t arrivals, std::int32_t bytes);
  void phase_wait(const Phase& phase, std::uint32_t parity, int line);
  void check_copy(const void* to, const void* from, std::size_t bytes);
  [[noreturn]] void thread_main();

 private:
  std::vector<std::uint32_t> ordered(std::uint32_t count);
  void run_group(Extent group);
  void start_threads(Extent group);
  void wake(std::uint32_t first, std::uint32_t count);
  std::uint32_t next_ready();
  void suspend();
  void must_have_waited(const char* what);
  [[noreturn]] void stop(std::string why);
  MeetingPoint& meeting_point() { return meetings_[current_->at.simdgroup]; }
  std::uint32_t thread_count() const { return static_cast<std::uint32_t>(threads_.size()); }

  MachineOptions options_;
  const FragmentMap& fragments_;
  ThreadgroupMemory memory_;
  std::mt19937_64 random_;
  PageMemory stacks_;
  Fiber host_;  // the stack that called run()
  std::vector<Thread> threads_;
  std::vector<MeetingPoint> meetings_;  // one a simdgroup
  // A stack: the thread that became ready last runs first, so that a simdgroup's lanes run together.
  std::vector<std::uint32_t> ready_;
  Thread* current_ = nullptr;
  const Launch* launch_ = nullptr;
  std::uint32_t at_barrier_ = 0, ended_ = 0, waited_ = 0;
  std::size_t idle_ = 0;  // threads in a row that found their phase not ended
  int barrier_line_ = 0;
  std::multimap<const void*, Copy> copies_;
  LaunchCounts counts_;
  std::string fault_;
};

namespace {
// The one whose fiber runs on this thread. Barriers and collectives have no other way to know: their callers
// are kernels, and kernels have no context.
constinit thread_local Scheduler* running = nullptr;

struct Running {
  explicit Running(Scheduler* scheduler) { running = scheduler; }
  ~Running() { running = nullptr; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
};
}  // namespace

const ThreadPosition& position() { return running->position(); }
const FragmentMap& fragment_map() { return running->fragments(); }
void wait_previous() { running->wait_previous(); }
void barrier(int line) { running->barrier(line); }
void meet(const Meeting& meeting, const void* in, void* out) { running->meet(meeting, in, out); }
void* threadgroup_array(int id, std::size_t bytes) { return running->threadgroup_array(id, bytes); }
void copy_later(const void* key, void* to, const void* from, std::size_t bytes) {
  running->copy_later(key, to, from, bytes);
}
void wait_copies(const void* key, int line) { running->wait_copies(key, line); }
void* large_threadgroup_memory() { return running->large_memory(); }

std::vector<std::uint32_t> Scheduler::ordered(std::uint32_t count) {
  std::vector<std::uint32_t> order(count);
  for (std::uint32_t i = 0; i < count; ++i) order[i] = options_.order == Order::reverse ? count - 1 - i : i;
  if (options_.order == Order::shuffled) std::shuffle(order.begin(), order.end(), random_);
  return order;
}

LaunchCounts Scheduler::run(const Launch& launch) {
  MEDLAR_ASSERT(launch.threads > 0 && launch.threads <= kMaxThreads && launch.threads % kSimdWidth == 0);
  MEDLAR_ASSERT(!running && launch.large_bytes <= kLargeBytes);
  launch_ = &launch;
  counts_ = {};
  host_ = {};
  const Running now(this);
  if (stacks_.size() < kStackBytes * launch.threads) stacks_ = PageMemory(kStackBytes * launch.threads);
  for (std::size_t i = launch.threads; i < threads_.size(); ++i) retire(threads_[i].fiber);
  threads_.resize(launch.threads);
  meetings_.resize(launch.threads / kSimdWidth);
  const Extent& grid = launch.grid;
  for (std::uint32_t i : ordered(grid.x * grid.y * grid.z)) {
    run_group({i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y});
    if (!fault_.empty()) break;
  }
  tsan_acquire(this);  // the host reads what the threads wrote
  if (!fault_.empty()) fail(ErrorKind::device, "{}", std::exchange(fault_, {}));
  counts_.threadgroup_bytes = memory_.used();
  return counts_;
}

void Scheduler::start_threads(Extent group) {
  if (kFreshMemory) {
    stacks_ = PageMemory(stacks_.size());
    for (Thread& t : threads_) retire(t.fiber);
  }
  for (std::uint32_t i = 0; i < thread_count(); ++i) {
    constexpr std::size_t kStaggerBytes = 192, kStaggers = 64;
    Thread& t = threads_[i];
    t.at = {group, i, i % kSimdWidth, i / kSimdWidth};
    t.state = State::ready;
    t.waited = false;
    prepare(t.fiber, stacks_.span().subspan(kStackBytes * i, kStackBytes), i * 5 % kStaggers * kStaggerBytes,
            [] { running->thread_main(); });
  }
  for (MeetingPoint& m : meetings_) m.arrived = 0;
  at_barrier_ = ended_ = waited_ = 0;
  copies_.clear();
  idle_ = 0;
  ready_.clear();
  wake(0, thread_count());
}

void Scheduler::run_group(Extent group) {
  memory_.reset();
  start_threads(group);
  if (launch_->previous) launch_->previous(true);
  while (!ready_.empty() && fault_.empty()) {
    current_ = &threads_[next_ready()];
    ++counts_.switches;
    switch_fiber(host_, current_->fiber);
  }
  if (launch_->previous && waited_ < thread_count()) launch_->previous(false);
  if (!fault_.empty()) return;
  // Every thread either ended or waits for one that did; meetings and barriers report that when it happens.
  MEDLAR_ASSERT(ended_ == thread_count());
  if (!copies_.empty())
    fault_ = fmt::format("kernel {}, threadgroup ({}, {}, {}) ended before {} copies had been waited for",
                         launch_->kernel, group.x, group.y, group.z, copies_.size());
  if (const int overrun = memory_.find_overrun(); overrun >= 0)
    fault_ = fmt::format("kernel {}, threadgroup ({}, {}, {}): threadgroup array {} was written past its end",
                         launch_->kernel, group.x, group.y, group.z, overrun);
}

// Makes `count` threads from `first` on ready, in the order of the options.
void Scheduler::wake(std::uint32_t first, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    // The last one pushed runs first.
    const std::uint32_t thread = first + (options_.order == Order::reverse ? i : count - 1 - i);
    threads_[thread].state = State::ready;
    ready_.push_back(thread);
  }
}

std::uint32_t Scheduler::next_ready() {
  if (options_.order == Order::shuffled) std::swap(ready_[random_() % ready_.size()], ready_.back());
  const std::uint32_t next = ready_.back();
  ready_.pop_back();
  return next;
}

void Scheduler::suspend() { switch_fiber(current_->fiber, host_); }

// Ends the launch from inside a fiber: no fiber runs again.
void Scheduler::stop(std::string why) {
  const ThreadPosition& at = current_->at;
  fault_ = fmt::format("kernel {}, threadgroup ({}, {}, {}), thread {}: {}", launch_->kernel, at.group.x,
                       at.group.y, at.group.z, at.index, why);
  std::string().swap(why);
  for (;;) suspend();
}

void Scheduler::thread_main() {
  fiber_started(host_);
  launch_->run(launch_->args);
  must_have_waited("the thread ended");
  current_->state = State::ended;
  ++ended_;
  tsan_release(this);
  if (at_barrier_)
    stop(fmt::format("the thread ended while others wait at the barrier in line {}", barrier_line_));
  if (meeting_point().arrived)
    stop(fmt::format("the lane ended while others wait at the collective in line {}",
                     meeting_point().meeting.line));
  for (;;) suspend();
}

void Scheduler::must_have_waited(const char* what) {
  if (launch_->previous && !current_->waited) stop(fmt::format("{} before wait_previous()", what));
}

void Scheduler::wait_previous() {
  if (!launch_->previous || current_->waited) return;
  current_->waited = true;
  current_->state = State::waiting;
  if (++waited_ == thread_count()) {
    launch_->previous(false);
    wake(0, thread_count());
  }
  suspend();
}

void Scheduler::barrier(int line) {
  must_have_waited("a barrier");
  if (meeting_point().arrived)
    stop(fmt::format("barrier in line {} while other lanes wait at the collective in line {}", line,
                     meeting_point().meeting.line));
  if (ended_) stop(fmt::format("barrier in line {} after a thread of the group ended", line));
  if (at_barrier_ == 0) barrier_line_ = line;
  if (barrier_line_ != line)
    stop(fmt::format("divergent barriers: line {} here, line {} in other threads", line, barrier_line_));
  tsan_release(&at_barrier_);
  current_->state = State::waiting;
  if (++at_barrier_ == thread_count()) {
    at_barrier_ = 0;
    ++counts_.barriers;
    wake(0, thread_count());
  }
  suspend();
  tsan_acquire(&at_barrier_);
}

void Scheduler::meet(const Meeting& meeting, const void* in, void* out) {
  must_have_waited("a collective");
  MeetingPoint& point = meeting_point();
  const std::uint32_t first = current_->at.simdgroup * kSimdWidth;
  if (ended_)
    for (std::uint32_t lane = 0; lane < kSimdWidth; ++lane)
      if (threads_[first + lane].state == State::ended)
        stop(fmt::format("collective in line {} after lane {} ended", meeting.line, lane));
  if (at_barrier_)
    for (std::uint32_t lane = 0; lane < kSimdWidth; ++lane)
      if (point.arrived == 0 && threads_[first + lane].state == State::waiting)
        stop(fmt::format("collective in line {} while lane {} waits at the barrier in line {}", meeting.line,
                         lane, barrier_line_));
  if (point.arrived == 0) point.meeting = meeting;
  if (point.meeting.what != meeting.what || point.meeting.line != meeting.line)
    stop(fmt::format("divergent collectives: line {} here, line {} in other lanes", meeting.line,
                     point.meeting.line));
  point.in[current_->at.lane] = in;
  point.out[current_->at.lane] = out;
  const bool orders = meeting.what == Collective::fence || meeting.what == Collective::copies;
  if (orders) tsan_release(&point);
  if (++point.arrived == kSimdWidth) {
    point.arrived = 0;
    ++counts_.collectives;
    if (meeting.exchange) meeting.exchange(point.in.data(), point.out.data(), point.meeting.argument);
    if (orders) tsan_release(&point);
    wake(first, kSimdWidth);
  } else {
    current_->state = State::waiting;
  }
  suspend();
  if (orders) tsan_acquire(&point);
}

void* Scheduler::threadgroup_array(int id, std::size_t bytes) {
  void* p = memory_.array(id, bytes);
  if (!p) stop(fmt::format("more than {} bytes of threadgroup memory", options_.threadgroup_bytes));
  return p;
}

void Scheduler::copy_later(const void* key, void* to, const void* from, std::size_t bytes) {
  std::memset(to, 0xFF, bytes);  // NaN in every format of floats
  copies_.emplace(key, Copy{to, from, bytes});
}

// By the lane that arrives last: none sees the copies too early.
void Scheduler::wait_copies(const void* key, int line) {
  const auto finish = [](const void* const* in, void* const*, std::uint64_t) {
    const auto [first, last] = running->copies_.equal_range(in[0]);
    for (auto copy = first; copy != last; ++copy)
      std::memcpy(copy->second.to, copy->second.from, copy->second.bytes);
    running->copies_.erase(first, last);
  };
  meet({Collective::copies, line, finish}, key, nullptr);
}

void Scheduler::phase_arrive(Phase& phase, std::uint32_t arrivals, std::int32_t bytes) {
  must_have_waited("an arrival");
  if (arrivals > phase.missing) stop("more arrivals in a phase than it counts");
  tsan_release(&phase);
  idle_ = 0;
  phase.bytes += bytes;
  phase.missing = static_cast<std::uint8_t>(phase.missing - arrivals);
  if (phase.missing == 0 && phase.bytes == 0) phase.parity ^= 1, phase.missing = phase.count;
}

// Asked again after the others have run; when all of them only ask, nobody will answer.
void Scheduler::phase_wait(const Phase& phase, std::uint32_t parity, int line) {
  must_have_waited("a wait");
  constexpr std::size_t kPatience = 64;
  while (phase.parity == parity) {
    if (++idle_ > kPatience * thread_count())
      stop(fmt::format("nobody ends the phase waited for in line {}", line));
    ready_.insert(ready_.begin(), current_->at.index);
    suspend();
  }
  idle_ = 0;
  tsan_acquire(const_cast<Phase*>(&phase));
}

void Scheduler::check_copy(const void* to, const void* from, std::size_t bytes) {
  constexpr std::uintptr_t kUnit = 16;
  if ((reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from) | bytes) % kUnit != 0)
    stop("a copy that is not of whole 16-byte units");
  must_have_waited("a copy");
}

static Phase& phase_at(std::uint64_t* at) { return *reinterpret_cast<Phase*>(at); }
void phase_init(std::uint64_t* at, std::uint32_t count) {
  MEDLAR_ASSERT(count > 0 && count < 256);
  phase_at(at) = {.bytes = 0,
                  .parity = 0,
                  .count = static_cast<std::uint8_t>(count),
                  .missing = static_cast<std::uint8_t>(count)};
}
void phase_arrive(std::uint64_t* at, std::uint32_t arrivals, std::int32_t bytes) {
  running->phase_arrive(phase_at(at), arrivals, bytes);
}
void phase_wait(std::uint64_t* at, std::uint32_t parity, int line) {
  running->phase_wait(phase_at(at), parity, line);
}
void copy_aligned(void* to, const void* from, std::size_t bytes) {
  running->check_copy(to, from, bytes);
  std::memcpy(to, from, bytes);
}

Machine::Machine(const MachineOptions& options) : scheduler_(std::make_unique<Scheduler>(options)) {}
Machine::~Machine() = default;
Machine::Machine(Machine&&) noexcept = default;
Machine& Machine::operator=(Machine&&) noexcept = default;

LaunchCounts Machine::run(const Launch& launch) { return scheduler_->run(launch); }

}  // namespace medlar::emulator
