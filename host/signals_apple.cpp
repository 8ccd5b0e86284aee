// macOS: memory pressure from libdispatch, heat and Low Power Mode from notify(3), the battery from IOKit.
// All of them are C interfaces. Tests compile this file elsewhere, against declarations of their own.
#include "host/signals_apple.h"

#if defined(__APPLE__) || defined(MEDLAR_APPLE_STUB)

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/ps/IOPSKeys.h>
#include <IOKit/ps/IOPowerSources.h>
#include <dispatch/dispatch.h>
#include <fcntl.h>
#include <notify.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include "base/posix.h"

namespace medlar::host {
namespace {

using std::chrono::seconds;

MemoryPressure pressure_of(unsigned long mask) {
  if ((mask & DISPATCH_MEMORYPRESSURE_CRITICAL) != 0) return MemoryPressure::critical;
  if ((mask & DISPATCH_MEMORYPRESSURE_WARN) != 0) return MemoryPressure::warning;
  return MemoryPressure::normal;
}

// The kernel's present level, in the numbers of libdispatch's masks.
MemoryPressure pressure_now() {
  int level = 0;
  std::size_t bytes = sizeof level;
  if (sysctlbyname("kern.memorystatus_vm_pressure_level", &level, &bytes, nullptr, 0) != 0)
    return MemoryPressure::normal;
  return pressure_of(static_cast<unsigned long>(level));
}

// Events come on a queue of libdispatch, which writes a byte into a pipe. While pressure lasts, which
// libdispatch tells only by its end, it is said again every half a second.
class PressureSource : public Source {
 public:
  PressureSource() {
    int ends[2];
    if (::pipe(ends) != 0) return;
    read_ = FileDescriptor(ends[0]);
    write_ = FileDescriptor(ends[1]);
    for (const int end : ends) {
      ::fcntl(end, F_SETFL, O_NONBLOCK);
      ::fcntl(end, F_SETFD, FD_CLOEXEC);
    }
    queue_ = dispatch_queue_create("medlar.pressure", nullptr);
    source_ = dispatch_source_create(DISPATCH_SOURCE_TYPE_MEMORYPRESSURE, 0, kLevels, queue_);
    if (source_ == nullptr) return;
    dispatch_set_context(source_, this);
    dispatch_source_set_event_handler_f(source_,
                                        [](void* self) { static_cast<PressureSource*>(self)->hear(); });
    dispatch_resume(source_);
  }
  // Cancelling does not wait for a handler that runs; passing through the queue does.
  ~PressureSource() override {
    if (source_ != nullptr) {
      dispatch_source_cancel(source_);
      dispatch_sync_f(queue_, nullptr, [](void*) {});
      dispatch_release(source_);
    }
    if (queue_ != nullptr) dispatch_release(queue_);
  }
  bool works() const { return source_ != nullptr; }
  std::string_view name() const override { return "libdispatch memory pressure"; }
  int descriptor() const override { return read_.get(); }
  std::optional<Time> due() const override { return due_; }
  std::vector<Signal> read(Time now, short) override {
    std::array<char, 64> bytes;
    while (::read(read_.get(), bytes.data(), bytes.size()) > 0) {
    }
    const auto heard = static_cast<MemoryPressure>(heard_.exchange(0));
    const MemoryPressure pressure = std::max(heard, pressure_now());
    due_.reset();
    if (pressure != MemoryPressure::normal) due_ = now + std::chrono::milliseconds(500);
    return {MemorySignal{.pressure = pressure}};
  }

 private:
  static constexpr unsigned long kLevels =
      DISPATCH_MEMORYPRESSURE_NORMAL | DISPATCH_MEMORYPRESSURE_WARN | DISPATCH_MEMORYPRESSURE_CRITICAL;

  void hear() {
    const auto level = static_cast<std::uint8_t>(pressure_of(dispatch_source_get_data(source_)));
    std::uint8_t known = heard_.load();
    while (level > known && !heard_.compare_exchange_weak(known, level)) {
    }
    const char byte = 0;
    [[maybe_unused]] const auto written = ::write(write_.get(), &byte, 1);  // full: it is awake already
  }

  FileDescriptor read_, write_;
  dispatch_queue_t queue_ = nullptr;
  dispatch_source_t source_ = nullptr;
  std::atomic<std::uint8_t> heard_ = 0;  // the worst since the last read
  std::optional<Time> due_;
};

// A name of notify(3): its descriptor is ready when somebody posts it, and a number goes with it.
class Notice {
 public:
  explicit Notice(const char* name) {
    works_ = notify_register_file_descriptor(name, &descriptor_, 0, &token_) == NOTIFY_STATUS_OK;
  }
  ~Notice() {
    if (works_) notify_cancel(token_);  // closes the descriptor
  }
  Notice(const Notice&) = delete;
  Notice& operator=(const Notice&) = delete;

  bool works() const { return works_; }
  int descriptor() const { return works_ ? descriptor_ : -1; }
  // Takes the token that was written for a post; to be called when the descriptor is ready.
  void take() const {
    int token = 0;
    [[maybe_unused]] const auto got = ::read(descriptor_, &token, sizeof token);
  }
  std::uint64_t state() const {
    std::uint64_t value = 0;
    return works_ && notify_get_state(token_, &value) == NOTIFY_STATUS_OK ? value : 0;
  }

 private:
  int descriptor_ = -1, token_ = 0;
  bool works_ = false;
};

// OSThermalNotification.h of macOS: nominal, moderate, heavy, trapping, sleeping.
ThermalState thermal_state(std::uint64_t level) {
  constexpr ThermalState kStates[] = {ThermalState::nominal, ThermalState::fair, ThermalState::serious};
  return level < std::size(kStates) ? kStates[level] : ThermalState::critical;
}

class HeatSource : public Source {
 public:
  explicit HeatSource(Time start) : due_(start) {}
  bool works() const { return notice_.works(); }
  std::string_view name() const override { return "thermal pressure"; }
  int descriptor() const override { return notice_.descriptor(); }
  std::optional<Time> due() const override { return due_; }
  std::vector<Signal> read(Time now, short events) override {
    if (events != 0) notice_.take();
    due_ = now + seconds(30);  // in case a notice was lost
    return {ThermalSignal{.state = thermal_state(notice_.state())}};
  }

 private:
  Notice notice_{"com.apple.system.thermalpressurelevel"};
  Time due_;
};

template <class Ref>
class Owned {
 public:
  explicit Owned(Ref ref) : ref_(ref) {}
  ~Owned() {
    if (ref_ != nullptr) CFRelease(ref_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Ref get() const { return ref_; }

 private:
  Ref ref_;
};

// The first internal battery's charge, 0 to 1.
std::optional<double> battery_charge(CFTypeRef info) {
  const Owned<CFArrayRef> list(IOPSCopyPowerSourcesList(info));
  if (list.get() == nullptr) return std::nullopt;
  for (CFIndex i = 0; i < CFArrayGetCount(list.get()); ++i) {
    const CFDictionaryRef battery =
        IOPSGetPowerSourceDescription(info, CFArrayGetValueAtIndex(list.get(), i));
    if (battery == nullptr) continue;
    const auto number = [&](CFStringRef key) {
      int value = 0;
      const void* found = CFDictionaryGetValue(battery, key);
      if (found != nullptr) CFNumberGetValue(static_cast<CFNumberRef>(found), kCFNumberIntType, &value);
      return value;
    };
    const int full = number(CFSTR(kIOPSMaxCapacityKey));
    if (full > 0) return static_cast<double>(number(CFSTR(kIOPSCurrentCapacityKey))) / full;
  }
  return std::nullopt;
}

PowerSignal power_now(bool low_power) {
  PowerSignal power{.low_power = low_power};
  const Owned<CFTypeRef> info(IOPSCopyPowerSourcesInfo());
  if (info.get() == nullptr) return power;
  power.charge = battery_charge(info.get());
  const CFStringRef type = IOPSGetProvidingPowerSourceType(info.get());
  power.mains = type == nullptr || CFStringCompare(type, CFSTR(kIOPSACPowerValue), 0) == kCFCompareEqualTo;
  return power;
}

class PowerSource : public Source {
 public:
  explicit PowerSource(Time start) : due_(start) {}
  std::string_view name() const override { return "power sources"; }
  int descriptor() const override { return changed_.descriptor(); }
  std::optional<Time> due() const override { return due_; }
  std::vector<Signal> read(Time now, short events) override {
    if (events != 0) changed_.take();
    due_ = now + seconds(10);  // Low Power Mode, and the charge
    return {power_now(low_power_.state() != 0)};
  }

 private:
  Notice changed_{kIOPSNotifyPowerSource};
  Notice low_power_{"com.apple.system.lowpowermode"};
  Time due_;
};

}  // namespace

Sources apple_sources(const SourceOptions& options) {
  Sources sources;
  const auto miss = [&](const char* what) {
    if (options.missing != nullptr) options.missing->push_back(what);
  };
  const Time start = Clock::now();
  auto pressure = std::make_unique<PressureSource>();
  auto heat = std::make_unique<HeatSource>(start);
  if (pressure->works()) {
    sources.push_back(std::move(pressure));
  } else {
    miss("libdispatch: no memory pressure");
  }
  if (heat->works()) {
    sources.push_back(std::move(heat));
  } else {
    miss("notify: no thermal pressure");
  }
  sources.push_back(std::make_unique<PowerSource>(start));
  return sources;
}

}  // namespace medlar::host

#endif
