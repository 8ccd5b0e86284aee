// A power assertion of IOKit. Tests compile this file elsewhere, against declarations of their own.
#include "host/awake.h"

#if defined(__APPLE__) || defined(MEDLAR_APPLE_STUB)

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/pwr_mgt/IOPMLib.h>

namespace medlar::host {
namespace {

class Assertion : public SleepLock {
 public:
  explicit Assertion(IOPMAssertionID id) : id_(id) {}
  ~Assertion() override { IOPMAssertionRelease(id_); }

 private:
  IOPMAssertionID id_;
};

}  // namespace

std::unique_ptr<SleepLock> lock_by_iokit(const std::string& reason) {
  const std::string text = "Medlar: " + reason;
  const CFStringRef name = CFStringCreateWithCString(nullptr, text.c_str(), kCFStringEncodingUTF8);
  if (name == nullptr) return nullptr;
  IOPMAssertionID id = 0;
  const IOReturn result = IOPMAssertionCreateWithName(kIOPMAssertionTypePreventUserIdleSystemSleep,
                                                      kIOPMAssertionLevelOn, name, &id);
  CFRelease(name);
  return result == kIOReturnSuccess ? std::make_unique<Assertion>(id) : nullptr;
}

}  // namespace medlar::host

#endif
