// The declarations of Core Foundation that host/ uses, written from Apple's reference.
#pragma once

extern "C" {
typedef const void* CFTypeRef;
typedef const struct __CFString* CFStringRef;
typedef const struct __CFArray* CFArrayRef;
typedef const struct __CFDictionary* CFDictionaryRef;
typedef const struct __CFNumber* CFNumberRef;
typedef long CFIndex;
typedef unsigned char Boolean;
typedef enum : CFIndex { kCFNumberIntType = 9 } CFNumberType;
typedef enum : CFIndex {
  kCFCompareLessThan = -1,
  kCFCompareEqualTo = 0,
  kCFCompareGreaterThan = 1
} CFComparisonResult;
typedef unsigned long CFStringCompareFlags;

CFStringRef CFStringCreateWithCString(const void* allocator, const char* text, unsigned encoding);
#define kCFStringEncodingUTF8 0x08000100U
CFStringRef __CFStringMakeConstantString(const char* text);
#define CFSTR(text) __CFStringMakeConstantString("" text "")
void CFRelease(CFTypeRef object);
CFIndex CFArrayGetCount(CFArrayRef array);
const void* CFArrayGetValueAtIndex(CFArrayRef array, CFIndex index);
const void* CFDictionaryGetValue(CFDictionaryRef dictionary, const void* key);
Boolean CFNumberGetValue(CFNumberRef number, CFNumberType type, void* value);
CFComparisonResult CFStringCompare(CFStringRef a, CFStringRef b, CFStringCompareFlags flags);
}
