#include "host/governor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/error.h"
#include "base/posix.h"

namespace medlar::host {
namespace {

using std::chrono::milliseconds;

// Between two looks at sources whose descriptors are ready: a storm of notices costs little.
constexpr Duration kPause = milliseconds(10);

// What there is to tell the responder.
struct Decision {
  std::optional<Ladder::Change> memory;
  std::optional<Pace> pace;
};

// The decisions and what is known, without a thread or a clock.
class Regulator {
 public:
  Regulator(const GovernorOptions& options, Time now)
      : ladder_(options.ladder),
        pacing_(options.pacing),
        interval_(options.pacing.interval),
        next_look_(now),
        started_(now) {}

  // Adds to the decisions that are due.
  void take(const Signal& signal, Time now, std::vector<Decision>& decisions) {
    if (is_news(signal)) {
      last_signal_ = describe(signal);
      last_signal_at_ = now;
    }
    if (const auto* memory = std::get_if<MemorySignal>(&signal)) {
      memory_.pressure = memory->pressure;
      if (memory->free_share) memory_.free_share = memory->free_share;
      add(ladder_.report(memory->pressure, now), decisions);
    } else if (const auto* thermal = std::get_if<ThermalSignal>(&signal)) {
      thermal_ = *thermal;
      pacing_.take(*thermal);
    } else {
      power_ = std::get<PowerSignal>(signal);
      pacing_.take(power_);
    }
  }
  void advance(Time now, std::vector<Decision>& decisions) {
    add(ladder_.advance(now), decisions);
    if (now < next_look_) return;
    next_look_ = now + interval_;
    if (const auto pace = pacing_.advance(now)) decisions.push_back({.pace = pace});
  }
  // Where nothing asks for less than full power, nobody needs to look.
  std::optional<Time> due() const {
    const bool quiet = pacing_.pace() == Pace{} && thermal_ == ThermalSignal{} && power_ == PowerSignal{};
    const std::optional<Time> fall = ladder_.due();
    if (quiet) return fall;
    return fall ? std::min(*fall, next_look_) : next_look_;
  }
  void worked(double tokens, double busy_seconds) { pacing_.worked(tokens, busy_seconds); }
  void reacted(Duration reaction) {
    last_reaction_ = reaction;
    slowest_reaction_ = std::max(slowest_reaction_, reaction);
  }
  GovernorSnapshot snapshot(Time now) const {
    GovernorSnapshot s{.stage = ladder_.stage()};
    s.in_stage = now - (stage_changes_ > 0 ? ladder_.since() : started_);
    s.stage_changes = stage_changes_;
    s.last_signal = last_signal_;
    if (!last_signal_.empty()) s.since_signal = now - last_signal_at_;
    s.memory = memory_;
    s.thermal = thermal_;
    s.power = power_;
    s.pace = pacing_.pace();
    s.last_reaction = last_reaction_;
    s.slowest_reaction = slowest_reaction_;
    return s;
  }

 private:
  bool is_news(const Signal& signal) const {
    if (const auto* memory = std::get_if<MemorySignal>(&signal))
      return memory->pressure != MemoryPressure::normal;
    if (const auto* thermal = std::get_if<ThermalSignal>(&signal)) return thermal->state != thermal_.state;
    const PowerSignal& power = std::get<PowerSignal>(signal);
    return power.mains != power_.mains || power.low_power != power_.low_power;
  }
  void add(const std::optional<Ladder::Change>& change, std::vector<Decision>& decisions) {
    if (!change) return;
    if (!change->again) ++stage_changes_;
    decisions.push_back({.memory = change});
  }

  Ladder ladder_;
  Pacing pacing_;
  Duration interval_;
  Time next_look_, started_;
  MemorySignal memory_;
  ThermalSignal thermal_;
  PowerSignal power_;
  std::string last_signal_;
  Time last_signal_at_{};
  int stage_changes_ = 0;
  Duration last_reaction_{}, slowest_reaction_{};
};

bool is_rise(const Decision& decision) {
  return decision.memory && !decision.memory->again && decision.memory->stage != MemoryStage::normal &&
         decision.memory->stage != MemoryStage::recovering;
}

void respond(const Decision& decision, Responder& responder, const Logger& log) {
  try {
    if (decision.memory) {
      if (!decision.memory->again) log.info("memory: {}", name(decision.memory->stage));
      responder.on_memory(decision.memory->stage, actions(decision.memory->stage));
    }
    if (decision.pace) {
      log.info("pace: {:.0f}% power", decision.pace->power * 100);
      responder.on_pace(*decision.pace);
    }
  } catch (const std::exception& e) {
    log.error("the governor's decision could not be carried out: {}", e.what());
  }
}

// Wakes poll(2); made once, written to from any thread.
class WakePipe {
 public:
  WakePipe() {
    int ends[2];
    if (::pipe(ends) != 0) fail_errno("pipe", "create", errno);
    read_ = FileDescriptor(ends[0]);
    write_ = FileDescriptor(ends[1]);
    for (const int end : ends) {
      ::fcntl(end, F_SETFL, O_NONBLOCK);
      ::fcntl(end, F_SETFD, FD_CLOEXEC);
    }
  }
  void wake() const {
    const char byte = 0;
    while (::write(write_.get(), &byte, 1) < 0 && errno == EINTR) {
    }
  }
  void drain() const {
    std::array<char, 64> bytes;
    while (::read(read_.get(), bytes.data(), bytes.size()) > 0) {
    }
  }
  int descriptor() const { return read_.get(); }

 private:
  FileDescriptor read_, write_;
};

}  // namespace

struct Governor::Impl {
  Impl(Sources listened, Responder& responder, GovernorOptions o)
      : sources(std::move(listened)),
        responder(responder),
        options(std::move(o)),
        regulator(options, Clock::now()) {
    for (const auto& source : sources) names.emplace_back(source->name());
  }

  void run();
  bool wait(std::vector<pollfd>& descriptors);
  void read_sources(const std::vector<pollfd>& descriptors, Time now);
  void carry_out();

  // A decision, and when what led to it was heard.
  struct Pending {
    Decision decision;
    Time heard;
  };

  Sources sources;  // of the thread
  Responder& responder;
  const GovernorOptions options;
  std::vector<std::string> names;  // of the sources
  WakePipe wake;

  mutable std::mutex mutex;  // for what follows
  Regulator regulator;
  std::vector<std::pair<Signal, Time>> told;
  bool stopping = false;

  std::vector<Pending> pending;  // of the thread
  std::thread thread;
};

// Until something is ready or due. False: the end.
bool Governor::Impl::wait(std::vector<pollfd>& descriptors) {
  descriptors.clear();
  descriptors.push_back({.fd = wake.descriptor(), .events = POLLIN, .revents = 0});
  std::optional<Time> due;
  {
    const std::lock_guard lock(mutex);
    due = regulator.due();
  }
  for (const auto& source : sources) {
    descriptors.push_back({.fd = source->descriptor(), .events = source->poll_events(), .revents = 0});
    if (const auto time = source->due()) due = due ? std::min(*due, *time) : time;
  }
  int timeout = -1;  // milliseconds, rounded up, so that nothing is found not quite due
  if (due) {
    const auto left = std::chrono::ceil<milliseconds>(*due - Clock::now());
    timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
  }
  if (::poll(descriptors.data(), descriptors.size(), timeout) <= 0)
    for (pollfd& d : descriptors) d.revents = 0;
  if (descriptors[0].revents != 0) wake.drain();
  const std::lock_guard lock(mutex);
  return !stopping;
}

void Governor::Impl::read_sources(const std::vector<pollfd>& descriptors, Time now) {
  std::vector<std::pair<Signal, Time>> heard;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const short events = descriptors[i + 1].revents;
    const std::optional<Time> due = sources[i]->due();
    if (events == 0 && (!due || now < *due)) continue;
    for (const Signal& signal : sources[i]->read(now, events))
      heard.emplace_back(signal, events == 0 ? *due : now);
  }
  const std::lock_guard lock(mutex);
  heard.insert(heard.end(), told.begin(), told.end());
  told.clear();
  std::vector<Decision> decisions;
  for (const auto& [signal, time] : heard) {
    regulator.take(signal, now, decisions);
    for (const Decision& decision : std::exchange(decisions, {})) pending.push_back({decision, time});
  }
  regulator.advance(now, decisions);
  for (const Decision& decision : decisions) pending.push_back({decision, now});
}

void Governor::Impl::carry_out() {
  for (const Pending& p : std::exchange(pending, {})) {
    respond(p.decision, responder, options.log);
    if (!is_rise(p.decision)) continue;
    const std::lock_guard lock(mutex);
    regulator.reacted(Clock::now() - p.heard);
  }
}

void Governor::Impl::run() {
  std::vector<pollfd> descriptors;
  while (wait(descriptors)) {
    read_sources(descriptors, Clock::now());
    carry_out();
    const auto is_ready = [](const pollfd& d) { return d.revents != 0; };
    if (std::any_of(descriptors.begin() + 1, descriptors.end(), is_ready))
      std::this_thread::sleep_for(kPause);
  }
}

Governor::Governor(Sources sources, Responder& responder, GovernorOptions options)
    : impl_(std::make_unique<Impl>(std::move(sources), responder, std::move(options))) {
  try {
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  } catch (const std::system_error& e) {
    throw Error(ErrorKind::limit, fmt::format("cannot start the governor's thread: {}", e.what()),
                "raise the limit of processes (ulimit -u)");
  }
}

Governor::~Governor() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.wake();
  impl_->thread.join();
}

GovernorSnapshot Governor::snapshot() const {
  const std::lock_guard lock(impl_->mutex);
  GovernorSnapshot s = impl_->regulator.snapshot(Clock::now());
  s.sources = impl_->names;
  return s;
}

void Governor::tell(const Signal& signal) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->told.emplace_back(signal, Clock::now());
  }
  impl_->wake.wake();
}

void Governor::worked(double tokens, double busy_seconds) {
  const std::lock_guard lock(impl_->mutex);
  impl_->regulator.worked(tokens, busy_seconds);
}

GovernorSnapshot simulate(const Script& script, Responder& responder, Duration after,
                          const GovernorOptions& options) {
  Time now{};
  Regulator regulator(options, now);
  const Time end = now + (script.empty() ? Duration{} : script.back().at) + after;
  const std::unique_ptr<Source> source = make_scripted(script, now);
  while (true) {
    std::vector<Decision> decisions;
    for (const Signal& signal : source->read(now, 0)) regulator.take(signal, now, decisions);
    regulator.advance(now, decisions);
    for (const Decision& decision : decisions) respond(decision, responder, options.log);
    Time next = end;
    for (const auto& due : {source->due(), regulator.due()})
      if (due) next = std::min(next, *due);
    if (now >= end) break;
    now = std::max(next, now + std::chrono::nanoseconds(1));
  }
  GovernorSnapshot s = regulator.snapshot(now);
  s.sources.emplace_back(source->name());
  return s;
}

}  // namespace medlar::host
