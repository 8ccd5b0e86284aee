// As in macOS.
#pragma once

#include <CoreFoundation/CoreFoundation.h>

#define kIOPSNotifyPowerSource "com.apple.system.powersources.source"

extern "C" {
CFTypeRef IOPSCopyPowerSourcesInfo(void);
CFArrayRef IOPSCopyPowerSourcesList(CFTypeRef info);
CFDictionaryRef IOPSGetPowerSourceDescription(CFTypeRef info, CFTypeRef source);
CFStringRef IOPSGetProvidingPowerSourceType(CFTypeRef info);
}
