#include "runtime/metal/system.h"

#include "base/error.h"
#include "base/log.h"

namespace medlar::runtime::metal {
namespace {

constexpr const char* kHint = "use --device cpu";

gpu::Library framework(const char* path) { return {{path}, kHint}; }

Owned default_device(const ObjectiveC& objc, const gpu::Library& metal) {
  const Pool pool(objc);
  return {objc, metal.get<Id()>("MTLCreateSystemDefaultDevice")()};
}

}  // namespace

// A program that draws nothing has no default GPU unless it loads Core Graphics (Apple's "Getting the default
// GPU").
System::System()
    : foundation_(framework("/System/Library/Frameworks/Foundation.framework/Foundation")),
      graphics_(framework("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics")),
      metal_(framework("/System/Library/Frameworks/Metal.framework/Metal")),
      text_class_(objc.find_class("NSString")),
      call(objc),
      device(default_device(objc, metal_)) {
  if (!device) throw Error(ErrorKind::device, "this Mac has no GPU that Metal can use", kHint);
  const Pool pool(objc);
  if (!call.supports_family(device.get(), kFamilyApple7))
    throw Error(ErrorKind::device,
                fmt::format("{} is not a GPU of Apple's M1 or later", text(call.device_name(device.get()))),
                kHint);
}

std::string System::text(Id string) const {
  const char* const bytes = string ? call.utf8(string) : nullptr;
  return bytes ? bytes : "";
}

std::string System::reason(Id error) const {
  constexpr std::size_t kShown = 600;
  const Id description = error ? call.description(error) : nullptr;
  return description ? printable(text(description), kShown) : "unknown error";
}

Owned System::make(const char* class_name) const {
  const Id found = objc.find_class(class_name);
  if (!found) throw Error(ErrorKind::device, fmt::format("this system's Metal has no {}", class_name), kHint);
  return {objc, call.make(found)};
}

}  // namespace medlar::runtime::metal
