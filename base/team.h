// A persistent team of threads with a spin barrier: the steps of a program run without wake-ups between them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace medlar {

struct TeamOptions {
  int threads = 1;  // members, the caller of run() included; 1..1024
  // How long a member busy-waits, in a barrier and between runs, before it sleeps in the kernel. Waking from
  // sleep costs 5-50 us. Ignored (no spinning) when there are more threads than processors.
  std::chrono::microseconds spin{100};
  std::vector<int> cpus;  // Linux: worker i is pinned to cpus[i % size]; empty: the scheduler places them
};

// run() may be called from several threads, which take turns, but not from inside fn. Waiting is by the
// dissemination barrier (Hensgen, Finkel and Manber 1988): ceil(log2(threads)) rounds of one store and one
// load, so two threads meet in a single cache-line exchange.
class Team {
 public:
  // Throws Error(usage) on a bad count and Error(out_of_memory) when the system gives no more threads.
  explicit Team(const TeamOptions& options = {});
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

  // In runs that begin from now on, fn is called on so many members only, clamped to 1..size(), and the
  // others sleep. Any thread may call it.
  void limit(int members);
  // On how many members fn is called. Inside fn.
  int active() const { return job_.members; }

  // Calls fn(int member) once on each of active() members, member 0 on the calling thread, and returns when
  // all are done. What the caller wrote before is visible to the members, and what they wrote to the caller.
  // Allocates nothing. An exception that leaves fn ends the process: kernels do not throw.
  template <class Fn>
  void run(Fn&& fn) {
    using F = std::remove_reference_t<Fn>;
    run_job({[](void* f, int member) noexcept { (*static_cast<F*>(f))(member); },
             const_cast<void*>(static_cast<const void*>(std::addressof(fn)))});
  }

  // Inside fn: waits until each active member has called barrier() equally often. Orders memory like run().
  void barrier(int member);

 private:
  struct Job {
    void (*call)(void* context, int member) noexcept = nullptr;  // null: the team is being destroyed
    void* context = nullptr;
    int members = 0;             // that are called
    std::uint64_t barriers = 0;  // passed by them in earlier runs
  };
  class Gate;
  struct Meeting;
  struct Member;

  void run_job(Job job);
  void take_part(int member);
  void work(int member);
  void meet(Meeting Member::* where, int member, int members, std::chrono::nanoseconds spin);

  const int size_;
  std::atomic<int> limit_;
  std::chrono::nanoseconds spin_;
  std::unique_ptr<Member[]> members_;
  std::vector<std::thread> threads_;
  Job job_;
  std::mutex running_;
};

}  // namespace medlar
