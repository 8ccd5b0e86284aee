// Linux: pressure stall information, control groups of both versions, and what sysfs says every few seconds.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

#include "base/cgroup.h"
#include "base/log.h"
#include "base/posix.h"
#include "base/system_text.h"
#include "host/linux_files.h"
#include "host/signals.h"

namespace medlar::host {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Less than that share of free memory, with files counted as free, is pressure.
constexpr double kWarningShare = 0.08, kCriticalShare = 0.04;

MemorySignal signal_of(const FreeMemory& free) {
  return {.pressure = free.share < kCriticalShare  ? MemoryPressure::critical
                      : free.share < kWarningShare ? MemoryPressure::warning
                                                   : MemoryPressure::normal,
          .free_share = free.share};
}

// As often as is needed for half of what is free to be still there, at 4 GB a second.
std::unique_ptr<Source> make_share_source(const fs::path& root, Time start) {
  return make_polled("free memory", start, [root](Time, std::vector<Signal>& signals) -> Duration {
    const std::optional<FreeMemory> free = free_memory(root);
    if (!free) return seconds(60);
    signals.push_back(signal_of(*free));
    constexpr double kFastest = 4e9;
    const std::chrono::duration<double> half(static_cast<double>(free->bytes) / kFastest / 2);
    return std::clamp(std::chrono::duration_cast<Duration>(half), Duration(milliseconds(150)),
                      Duration(seconds(1)));
  });
}

#if defined(__linux__)

// Whether a group at its limit only reads files: their pages come and go without harm.
constexpr double kHarmlessShare = 0.25;
bool is_harmless(const std::optional<FreeMemory>& free) { return free && free->share > kHarmlessShare; }

std::optional<double> share_of(const std::optional<FreeMemory>& free) {
  return free ? std::optional(free->share) : std::nullopt;
}

// A trigger of pressure stall information (kernel's Documentation/accounting/psi.rst): the descriptor is
// ready while tasks stood still for want of memory longer than it asks for.
class StallSource : public Source {
 public:
  StallSource(std::string name, FileDescriptor file, MemoryPressure pressure)
      : name_(std::move(name)), file_(std::move(file)), pressure_(pressure) {}
  std::string_view name() const override { return name_; }
  int descriptor() const override { return file_.get(); }
  short poll_events() const override { return POLLPRI; }
  std::vector<Signal> read(Time, short events) override {
    if ((events & (POLLERR | POLLNVAL)) != 0) file_ = FileDescriptor();  // the group is gone
    if (!file_.valid() || (events & POLLPRI) == 0) return {};
    return {MemorySignal{.pressure = pressure_}};
  }

 private:
  std::string name_;
  FileDescriptor file_;
  MemoryPressure pressure_;
};

struct Stall {
  const char* kind;  // "some": one task stood still; "full": all of them
  int share;         // percent of the time
  MemoryPressure pressure;
};
constexpr Stall kStalls[] = {{"some", 10, MemoryPressure::warning}, {"full", 20, MemoryPressure::critical}};

// Without CAP_SYS_RESOURCE windows are whole multiples of two seconds.
FileDescriptor open_trigger(const fs::path& path, const Stall& stall) {
  for (const int window_us : {500'000, 2'000'000}) {
    FileDescriptor file(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!file.valid()) return file;
    const std::string text = fmt::format("{} {} {}", stall.kind, window_us / 100 * stall.share, window_us);
    if (::write(file.get(), text.c_str(), text.size() + 1) > 0) return file;
  }
  return FileDescriptor();
}

// Of the own group where that has a limit: a neighbour at its limit is not this process's concern.
void add_stalls(const SourceOptions& options, Sources& sources, std::vector<std::string>& missing) {
  fs::path path = options.root / "proc/pressure/memory";
  std::string_view name = "/proc/pressure/memory";
  if (const auto place = find_cgroup(options.root, ""); place && has_memory_limit(options.root)) {
    std::error_code error;
    if (fs::exists(place->leaf / "memory.pressure", error)) {
      path = place->leaf / "memory.pressure";
      name = "memory.pressure";
    }
  }
  for (const Stall& stall : kStalls) {
    FileDescriptor file = open_trigger(path, stall);
    if (!file.valid()) {
      missing.push_back(fmt::format("{}: no pressure stall information", name));
      return;
    }
    sources.push_back(std::make_unique<StallSource>(fmt::format("{} {}", name, stall.kind), std::move(file),
                                                    stall.pressure));
  }
}

// Version 2: memory.events counts what happened at the limits, and wakes who polls it.
class GroupEvents : public Source {
 public:
  GroupEvents(const fs::path& root, const fs::path& path)
      : root_(root), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    count();
  }
  std::string_view name() const override { return "memory.events"; }
  int descriptor() const override { return file_.get(); }
  short poll_events() const override { return POLLPRI; }
  std::vector<Signal> read(Time, short) override {
    const std::uint64_t limits = limits_, kills = kills_;
    if (!count()) {  // the group is gone
      file_ = FileDescriptor();
      return {};
    }
    if (kills_ > kills) return {MemorySignal{.pressure = MemoryPressure::critical}};
    if (limits_ == limits) return {};
    const std::optional<FreeMemory> free = free_memory(root_);
    if (is_harmless(free)) return {};
    return {MemorySignal{.pressure = MemoryPressure::warning, .free_share = share_of(free)}};
  }

 private:
  // Through the descriptor: reading is what makes it wait for the next change.
  bool count() {
    char text[512];
    const auto got = ::pread(file_.get(), text, sizeof text, 0);
    if (got <= 0) return false;
    const std::string_view events(text, static_cast<std::size_t>(got));
    const auto number = [&](std::string_view key) {
      return sysfs::leading_number(sysfs::field(events, key).value_or("0")).value_or(0);
    };
    limits_ = number("high ") + number("max ");
    kills_ = number("oom ");
    return true;
  }

  fs::path root_;
  FileDescriptor file_;
  std::uint64_t limits_ = 0, kills_ = 0;
};

// Version 1: an eventfd that the kernel raises (Documentation/admin-guide/cgroup-v1/memory.rst).
class GroupNotice : public Source {
 public:
  // Of `file` in `group`, with `argument`: a level of memory.pressure_level.
  GroupNotice(const fs::path& root, const fs::path& group, std::string argument, MemoryPressure pressure)
      : root_(root), name_("memory.pressure_level " + argument), pressure_(pressure) {
    FileDescriptor event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    const FileDescriptor file(::open((group / "memory.pressure_level").c_str(), O_RDONLY | O_CLOEXEC));
    const FileDescriptor control(::open((group / "cgroup.event_control").c_str(), O_WRONLY | O_CLOEXEC));
    if (!event.valid() || !file.valid() || !control.valid()) return;
    const std::string text = fmt::format("{} {} {}", event.get(), file.get(), argument);
    if (::write(control.get(), text.c_str(), text.size()) == static_cast<ssize_t>(text.size()))
      event_ = std::move(event);
  }
  bool works() const { return event_.valid(); }
  std::string_view name() const override { return name_; }
  int descriptor() const override { return event_.get(); }
  std::vector<Signal> read(Time, short) override {
    std::uint64_t count = 0;
    if (::read(event_.get(), &count, sizeof count) != sizeof count || count == 0) return {};
    const std::optional<FreeMemory> free = free_memory(root_);
    if (is_harmless(free)) return {};
    return {MemorySignal{.pressure = pressure_, .free_share = share_of(free)}};
  }

 private:
  fs::path root_;
  std::string name_;
  MemoryPressure pressure_;
  FileDescriptor event_;
};

void add_groups(const SourceOptions& options, Sources& sources, std::vector<std::string>& missing) {
  std::error_code error;
  bool found = false;
  if (const auto place = find_cgroup(options.root, "");
      place && fs::exists(place->leaf / "memory.events", error)) {
    sources.push_back(std::make_unique<GroupEvents>(options.root, place->leaf / "memory.events"));
    found = sources.back()->descriptor() >= 0;
    if (!found) sources.pop_back();
  }
  if (const auto place = find_cgroup(options.root, "memory")) {
    constexpr std::pair<const char*, MemoryPressure> kLevels[] = {{"medium", MemoryPressure::warning},
                                                                  {"critical", MemoryPressure::critical}};
    for (const auto& [level, pressure] : kLevels) {
      auto notice = std::make_unique<GroupNotice>(options.root, place->leaf, level, pressure);
      if (!notice->works()) continue;
      sources.push_back(std::move(notice));
      found = true;
    }
  }
  if (!found) missing.push_back("control groups: no notices of memory limits");
}

#else

void add_stalls(const SourceOptions&, Sources&, std::vector<std::string>&) {}
void add_groups(const SourceOptions&, Sources&, std::vector<std::string>&) {}

#endif

template <class Read>
std::unique_ptr<Source> make_state_source(std::string name, Time start, Duration interval, Read read) {
  return make_polled(std::move(name), start,
                     [interval, read = std::move(read)](Time, std::vector<Signal>& signals) {
                       if (const auto signal = read()) signals.push_back(*signal);
                       return interval;
                     });
}

}  // namespace

Sources linux_sources(const SourceOptions& options) {
  Sources sources;
  std::vector<std::string> ignored;
  std::vector<std::string>& missing = options.missing != nullptr ? *options.missing : ignored;
  const fs::path root = options.root;
  const Time start = Clock::now();
  add_stalls(options, sources, missing);
  add_groups(options, sources, missing);
  if (free_memory(root)) {
    sources.push_back(make_share_source(root, start));
  } else {
    missing.push_back("/proc/meminfo: no MemAvailable");
  }
  if (read_heat(root)) {
    sources.push_back(
        make_state_source("thermal zones", start, seconds(2), [root] { return read_heat(root); }));
  } else {
    missing.push_back("/sys/class/thermal and hwmon: no temperature of the processor");
  }
  sources.push_back(make_state_source("power supply", start, seconds(5),
                                      [root] { return std::optional(read_power(root)); }));
  return sources;
}

}  // namespace medlar::host
