#include "tests/host/apple_stub/machine.h"

#include <cstring>
#include <map>
#include <string>

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/ps/IOPSKeys.h>
#include <IOKit/ps/IOPowerSources.h>
#include <IOKit/pwr_mgt/IOPMLib.h>
#include <dispatch/dispatch.h>
#include <notify.h>
#include <sys/sysctl.h>
#include <unistd.h>

struct dispatch_source_s {
  dispatch_function_t handler = nullptr;
  void* context = nullptr;
  unsigned long data = 0;
  bool cancelled = false;
};

namespace medlar::host::apple_stub {
namespace {

struct Registration {
  std::string name;
  int read = -1, write = -1;
};

dispatch_source_s pressure_source;
std::map<int, Registration> registrations;
std::map<std::string, std::uint64_t> states;
int last_token = 0;
int some_object = 0;  // stands for every opaque one

}  // namespace

Machine& machine() {
  static Machine machine;
  return machine;
}

void tell_pressure(unsigned long mask) {
  if (pressure_source.cancelled || pressure_source.handler == nullptr) return;
  pressure_source.data = mask;
  pressure_source.handler(pressure_source.context);
}

void post(const std::string& name, std::uint64_t state) {
  states[name] = state;
  for (const auto& [token, registration] : registrations) {
    if (registration.name != name) continue;
    [[maybe_unused]] const auto written = ::write(registration.write, &token, sizeof token);
  }
}

}  // namespace medlar::host::apple_stub

using namespace medlar::host::apple_stub;

extern "C" {

const struct dispatch_source_type_s* const stub_memorypressure_type = nullptr;

dispatch_queue_t dispatch_queue_create(const char*, void*) {
  ++machine().alive;
  return reinterpret_cast<dispatch_queue_t>(&some_object);
}
dispatch_source_t dispatch_source_create(dispatch_source_type_t, unsigned long, unsigned long,
                                         dispatch_queue_t) {
  if (machine().fails) return nullptr;
  ++machine().alive;
  pressure_source = {};
  return &pressure_source;
}
void dispatch_set_context(void* object, void* context) {
  static_cast<dispatch_source_s*>(object)->context = context;
}
void dispatch_source_set_event_handler_f(dispatch_source_t source, dispatch_function_t handler) {
  source->handler = handler;
}
unsigned long dispatch_source_get_data(dispatch_source_t source) { return source->data; }
void dispatch_resume(void*) {}
void dispatch_source_cancel(dispatch_source_t source) { source->cancelled = true; }
void dispatch_sync_f(dispatch_queue_t, void* context, dispatch_function_t work) { work(context); }
void dispatch_release(void*) { --machine().alive; }

std::uint32_t notify_register_file_descriptor(const char* name, int* descriptor, int, int* token) {
  int ends[2];
  if (machine().fails || ::pipe(ends) != 0) return NOTIFY_STATUS_INVALID_TOKEN;
  registrations[*token = ++last_token] = {name, *descriptor = ends[0], ends[1]};
  ++machine().alive;
  return NOTIFY_STATUS_OK;
}
std::uint32_t notify_get_state(int token, std::uint64_t* state) {
  if (!registrations.contains(token)) return NOTIFY_STATUS_INVALID_TOKEN;
  *state = states[registrations[token].name];
  return NOTIFY_STATUS_OK;
}
std::uint32_t notify_cancel(int token) {
  ::close(registrations[token].read);
  ::close(registrations[token].write);
  registrations.erase(token);
  --machine().alive;
  return NOTIFY_STATUS_OK;
}

int sysctlbyname(const char* name, void* value, std::size_t* bytes, void*, std::size_t) {
  if (std::strcmp(name, "kern.memorystatus_vm_pressure_level") != 0 || *bytes != sizeof(int)) return -1;
  std::memcpy(value, &machine().pressure_level, sizeof(int));
  return 0;
}

// Strings are their characters, numbers their keys, and there is one list of one battery.
CFStringRef CFStringCreateWithCString(const void*, const char*, unsigned) {
  ++machine().alive;
  return reinterpret_cast<CFStringRef>(&some_object);
}
CFStringRef __CFStringMakeConstantString(const char* text) { return reinterpret_cast<CFStringRef>(text); }
void CFRelease(CFTypeRef) { --machine().alive; }
CFIndex CFArrayGetCount(CFArrayRef) { return machine().charge ? 1 : 0; }
const void* CFArrayGetValueAtIndex(CFArrayRef, CFIndex) { return &some_object; }
const void* CFDictionaryGetValue(CFDictionaryRef, const void* key) { return key; }
Boolean CFNumberGetValue(CFNumberRef number, CFNumberType, void* value) {
  const bool full = std::strcmp(reinterpret_cast<const char*>(number), kIOPSMaxCapacityKey) == 0;
  *static_cast<int*>(value) = full ? 100 : machine().charge.value_or(0);
  return 1;
}
CFComparisonResult CFStringCompare(CFStringRef a, CFStringRef b, CFStringCompareFlags) {
  const int order = std::strcmp(reinterpret_cast<const char*>(a), reinterpret_cast<const char*>(b));
  return order < 0 ? kCFCompareLessThan : order > 0 ? kCFCompareGreaterThan : kCFCompareEqualTo;
}
CFTypeRef IOPSCopyPowerSourcesInfo(void) {
  ++machine().alive;
  return &some_object;
}
CFArrayRef IOPSCopyPowerSourcesList(CFTypeRef) {
  ++machine().alive;
  return reinterpret_cast<CFArrayRef>(&some_object);
}
CFDictionaryRef IOPSGetPowerSourceDescription(CFTypeRef, CFTypeRef) {
  return reinterpret_cast<CFDictionaryRef>(&some_object);
}
CFStringRef IOPSGetProvidingPowerSourceType(CFTypeRef) {
  return machine().mains ? CFSTR(kIOPSACPowerValue) : CFSTR("Battery Power");
}

IOReturn IOPMAssertionCreateWithName(CFStringRef, IOPMAssertionLevel, CFStringRef, IOPMAssertionID* id) {
  if (machine().fails) return 1;
  *id = 7;
  ++machine().assertions;
  return kIOReturnSuccess;
}
IOReturn IOPMAssertionRelease(IOPMAssertionID id) {
  if (id == 7) --machine().assertions;
  return kIOReturnSuccess;
}

}  // extern "C"
