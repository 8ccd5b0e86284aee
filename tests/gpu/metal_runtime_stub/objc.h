// An Objective-C runtime for tests: classes, messages, references and autorelease pools. Whatever would leak,
// crash or go unnoticed on a Mac is a fault.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace medlar::metal_stub {

using u64 = std::uint64_t;

struct Object;
using Name = const std::string;  // behind a SEL: one of each text

struct MethodInfo {
  void* code;
  std::string types;
};

struct Class;

struct Object {
  Class* isa = nullptr;
  long references = 1;
  virtual ~Object() = default;
  virtual void end() {}  // the last reference is gone; the object itself stays, to tell whoever comes late
};

struct Class : Object {
  std::string name;
  Class* parent = nullptr;
  std::map<Name*, MethodInfo> methods;
  Class* meta = nullptr;  // holds the class's own methods
};

struct Text : Object {
  std::string text;
};
struct Problem : Object {  // NSError
  std::string text;
  std::int64_t code = 0;
};
struct Size {
  u64 width, height, depth;
};
struct Block;

void fault(std::string text);
Name* name_of(std::string_view selector);
// Made at the first call.
Class& class_named(const std::string& name, const std::string& parent = "NSObject");
Object* retain(Object* object);
void release(Object* object);
Object* autorelease(Object* object);

// A new object of a class, with one reference.
Object* adopt(Object* object, Class& isa);
template <class T>
T* make(const char* class_name) {
  return static_cast<T*>(adopt(new T, class_named(class_name)));
}
Object* text(std::string_view text);  // autoreleased
Object* problem(std::string text, std::int64_t code = 1);

// The type encodings that a compiler of Objective-C would give: of each type, and its bytes among arguments.
template <class T>
struct Letter;
#define MEDLAR_LETTER(T, letter)                \
  template <>                                   \
  struct Letter<T> {                            \
    static constexpr const char* text = letter; \
  };
MEDLAR_LETTER(void, "v")
MEDLAR_LETTER(bool, "B")
MEDLAR_LETTER(double, "d")
MEDLAR_LETTER(u64, "Q")
MEDLAR_LETTER(std::int64_t, "q")
MEDLAR_LETTER(Object*, "@")
MEDLAR_LETTER(Object**, "^@")
MEDLAR_LETTER(Block*, "@?")
MEDLAR_LETTER(const char*, "r*")
MEDLAR_LETTER(void*, "^v")
MEDLAR_LETTER(const void*, "r^v")
MEDLAR_LETTER(Name*, ":")
MEDLAR_LETTER(Size, "{?=QQQ}")
#undef MEDLAR_LETTER

template <class Result, class... Args>
std::string types_of() {
  std::size_t offset = 16;
  std::string args = "@0:8";
  ((args += fmt::format("{}{}", Letter<Args>::text, offset), offset += (sizeof(Args) + 7) / 8 * 8), ...);
  return fmt::format("{}{}{}", Letter<Result>::text, offset, args);
}

// A function whose first parameter is the receiver, as a method.
template <auto kBody>
struct Body;
template <class T, class Result, class... Args, Result (*kBody)(T&, Args...)>
struct Body<kBody> {
  static Result call(Object* self, Name*, Args... args) { return kBody(*static_cast<T*>(self), args...); }
  static std::string types() { return types_of<Result, Args...>(); }
};

template <auto kBody>
void define(Class& to, std::string_view selector) {
  to.methods[name_of(selector)] = {reinterpret_cast<void*>(&Body<kBody>::call), Body<kBody>::types()};
}

}  // namespace medlar::metal_stub
