// Metal, loaded: the runtime, the frameworks, the table of methods and the default GPU.
#pragma once

#include <string>

#include "runtime/gpu/library.h"
#include "runtime/metal/methods.h"
#include "runtime/metal/objc.h"

namespace medlar::runtime::metal {

class System {
 public:
  // Throws Error(device) outside macOS, and where there is no GPU or it is not one of Apple's own.
  System();
  System(const System&) = delete;
  System& operator=(const System&) = delete;

  // An NSString that lives as long as the pool around the call.
  Id string(const std::string& text) const { return call.string(text_class_, text.c_str()); }
  std::string text(Id string) const;
  // Of an NSError, in one line; null: "unknown error".
  std::string reason(Id error) const;
  // A new object of a class that has no other way to be made.
  Owned make(const char* class_name) const;

  const ObjectiveC objc;

 private:
  const gpu::Library foundation_, graphics_, metal_;
  const Id text_class_;

 public:
  const Methods call;
  const Owned device;
};

}  // namespace medlar::runtime::metal
