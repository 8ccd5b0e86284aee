// As in macOS.
#pragma once

#include <cstdint>

#include <CoreFoundation/CoreFoundation.h>

#define kIOPMAssertionTypePreventUserIdleSystemSleep CFSTR("PreventUserIdleSystemSleep")

extern "C" {
typedef std::uint32_t IOPMAssertionID;
typedef std::uint32_t IOPMAssertionLevel;
typedef int IOReturn;
enum { kIOReturnSuccess = 0 };
enum { kIOPMAssertionLevelOff = 0, kIOPMAssertionLevelOn = 255 };
IOReturn IOPMAssertionCreateWithName(CFStringRef type, IOPMAssertionLevel level, CFStringRef name,
                                     IOPMAssertionID* id);
IOReturn IOPMAssertionRelease(IOPMAssertionID id);
}
