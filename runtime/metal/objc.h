// What is used of the Objective-C runtime, loaded when it is first needed: no header and no library of an
// SDK. Names and types are those of Apple's "Objective-C Runtime" reference.
#pragma once

#include <type_traits>
#include <utility>

#include "runtime/gpu/library.h"

namespace medlar::runtime::metal {

using Id = struct Object*;            // id, Class
using Selector = struct Name*;        // SEL
using Implementation = struct Code*;  // Method

// F(member, symbol, signature)
#define MEDLAR_OBJC_FUNCTIONS(F)                                        \
  F(find_class, "objc_getClass", Id(const char*))                       \
  F(selector, "sel_registerName", Selector(const char*))                \
  F(class_of, "object_getClass", Id(Id))                                \
  F(method_of, "class_getInstanceMethod", Implementation(Id, Selector)) \
  F(types_of, "method_getTypeEncoding", const char*(Implementation))    \
  F(send, "objc_msgSend", void())                                       \
  F(retain, "objc_retain", Id(Id))                                      \
  F(release, "objc_release", void(Id))                                  \
  F(push_pool, "objc_autoreleasePoolPush", void*())                     \
  F(pop_pool, "objc_autoreleasePoolPop", void(void*))

class ObjectiveC {
 public:
  // Throws Error(device) where there is no such runtime: outside macOS.
  ObjectiveC();

 private:
  gpu::Library library_;

 public:
#define MEDLAR_MEMBER(member, symbol, ...) std::add_pointer_t<__VA_ARGS__> const member;
  MEDLAR_OBJC_FUNCTIONS(MEDLAR_MEMBER)
#undef MEDLAR_MEMBER
};

// Objects that a method hands out without giving them away live until the pool around the call ends.
class Pool {
 public:
  explicit Pool(const ObjectiveC& objc) : objc_(objc), pool_(objc.push_pool()) {}
  ~Pool() { objc_.pop_pool(pool_); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

 private:
  const ObjectiveC& objc_;
  void* const pool_;
};

// Move-only owner of one reference, which it is given.
class Owned {
 public:
  Owned() = default;
  Owned(const ObjectiveC& objc, Id object) : objc_(&objc), object_(object) {}
  ~Owned() {
    if (object_) objc_->release(object_);
  }
  Owned(Owned&& other) noexcept : objc_(other.objc_), object_(std::exchange(other.object_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(objc_, other.objc_), std::swap(object_, other.object_);
    return *this;
  }

  Id get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  const ObjectiveC* objc_ = nullptr;
  Id object_ = nullptr;
};

}  // namespace medlar::runtime::metal
