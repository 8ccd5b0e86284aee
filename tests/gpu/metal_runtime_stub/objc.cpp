// The runtime itself, and the classes of Foundation that a host of Metal's needs.
#include "tests/gpu/metal_runtime_stub/objc.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include <unistd.h>

#include "tests/gpu/metal_runtime_stub/stub.h"

namespace medlar::metal_stub {
namespace {

constexpr int kFaultyExit = 86;

void report_at_exit();

struct Runtime {
  std::recursive_mutex mutex;
  std::set<std::string, std::less<>> names;
  std::map<std::string, Class*> classes;
  std::set<Object*> live;
  std::vector<std::string> faults;
  Behaviour behaviour;

  Runtime() { std::atexit(report_at_exit); }
};

// Never destroyed: the program's last destructors still release objects.
Runtime& runtime() {
  static auto* const all = new Runtime;
  return *all;
}

thread_local std::vector<std::vector<Object*>> pools;

void report_at_exit() {
  std::map<std::string, int> left;
  for (const Object* object : runtime().live) ++left[object->isa->name];
  for (const auto& [name, count] : left) fault(name + ": " + std::to_string(count) + " never released");
  if (runtime().faults.empty()) return;
  std::fflush(nullptr);
  ::_exit(kFaultyExit);
}

std::string described(const Object* object, Name* selector) {
  const auto* as_class = dynamic_cast<const Class*>(object);
  return as_class ? "+[" + as_class->name + " " + *selector + "]"
                  : "-[" + object->isa->name + " " + *selector + "]";
}

const MethodInfo* find(Class* from, Name* selector) {
  for (Class* c = from; c; c = c->parent)
    if (const auto found = c->methods.find(selector); found != c->methods.end()) return &found->second;
  return nullptr;
}

bool responds(Object& self, Name* selector) { return find(self.isa, selector) != nullptr; }
Object* new_object(Class& self) { return adopt(new Object, self); }

std::uint64_t answer_nothing() { return 0; }

const char* utf8(Text& self) { return self.text.c_str(); }
Object* string_of(Class&, const char* bytes) { return text(bytes); }
Object* description(Problem& self) { return text(self.text); }
std::int64_t code(Problem& self) { return self.code; }

void define_foundation() {
  define<&new_object>(*class_named("NSObject", "").meta, "new");
  define<&responds>(class_named("NSObject"), "respondsToSelector:");
  Class& string = class_named("NSString");
  define<&string_of>(*string.meta, "stringWithUTF8String:");
  define<&utf8>(string, "UTF8String");
  Class& error = class_named("NSError");
  define<&description>(error, "localizedDescription");
  define<&code>(error, "code");
}

}  // namespace

Behaviour& behaviour() { return runtime().behaviour; }
std::vector<std::string> take_faults() {
  const std::lock_guard lock(runtime().mutex);
  return std::exchange(runtime().faults, {});
}
std::size_t live_objects() { return runtime().live.size(); }

void fault(std::string text) {
  const std::lock_guard lock(runtime().mutex);
  std::fprintf(stderr, "metal stub: %s\n", text.c_str());
  runtime().faults.push_back(std::move(text));
}

Name* name_of(std::string_view selector) {
  const std::lock_guard lock(runtime().mutex);
  return &*runtime().names.emplace(selector).first;
}

Class& class_named(const std::string& name, const std::string& parent) {
  const std::lock_guard lock(runtime().mutex);
  Class*& found = runtime().classes[name];
  if (found) return *found;
  found = new Class;
  found->name = name;
  found->meta = new Class;
  found->meta->name = name;
  found->isa = found->meta;
  if (!parent.empty()) {
    found->parent = &class_named(parent, "");
    found->meta->parent = found->parent->meta;
  }
  return *found;
}

Object* adopt(Object* object, Class& isa) {
  const std::lock_guard lock(runtime().mutex);
  object->isa = &isa;
  runtime().live.insert(object);
  return object;
}

Object* retain(Object* object) {
  const std::lock_guard lock(runtime().mutex);
  if (object && object->references++ <= 0)
    fault(object->isa->name + " retained after its last reference was released");
  return object;
}

void release(Object* object) {
  const std::lock_guard lock(runtime().mutex);
  if (!object) return;
  if (object->references <= 0) return fault(object->isa->name + " released too often");
  if (--object->references > 0) return;
  runtime().live.erase(object);
  object->end();
}

Object* autorelease(Object* object) {
  if (pools.empty())
    fault(object->isa->name + " autoreleased without a pool");
  else
    pools.back().push_back(object);
  return object;
}

Object* text(std::string_view text) {
  auto* const made = make<Text>("NSString");
  made->text = text;
  return autorelease(made);
}
Object* problem(std::string text, std::int64_t code) {
  auto* const made = make<Problem>("NSError");
  made->text = std::move(text), made->code = code;
  return autorelease(made);
}

void define_metal();

namespace {
void define_once() {
  static std::once_flag once;
  std::call_once(once, [] { define_foundation(), define_metal(); });
}
}  // namespace

}  // namespace medlar::metal_stub

using namespace medlar::metal_stub;

extern "C" {

Object* objc_getClass(const char* name) {
  define_once();
  const std::lock_guard lock(runtime().mutex);
  const auto found = runtime().classes.find(name);
  return found == runtime().classes.end() ? nullptr : found->second;
}
Name* sel_registerName(const char* name) { return name_of(name); }
Object* object_getClass(Object* object) { return object ? object->isa : nullptr; }
const MethodInfo* class_getInstanceMethod(Object* from, Name* selector) {
  return from ? find(static_cast<Class*>(from), selector) : nullptr;
}
const char* method_getTypeEncoding(const MethodInfo* method) {
  const std::lock_guard lock(runtime().mutex);
  for (const auto& [selector, types] : behaviour().types)
    for (const auto& [name, known] : runtime().classes)
      if (const auto found = known->methods.find(name_of(selector));
          found != known->methods.end() && &found->second == method)
        return types.c_str();
  return method->types.c_str();
}
Object* objc_retain(Object* object) { return retain(object); }
void objc_release(Object* object) { release(object); }
void* objc_autoreleasePoolPush() {
  pools.emplace_back();
  return reinterpret_cast<void*>(pools.size());
}
void objc_autoreleasePoolPop(void* pool) {
  if (reinterpret_cast<std::uintptr_t>(pool) != pools.size()) fault("autorelease pools popped out of order");
  while (!pools.empty() && pools.size() >= reinterpret_cast<std::uintptr_t>(pool)) {
    const std::vector<Object*> objects = std::move(pools.back());
    pools.pop_back();
    for (Object* object : objects) release(object);
  }
}

// What objc_msgSend jumps to. Any method of the system's may autorelease objects of its own, so there has to
// be a pool around each message.
void* metal_stub_find(Object* object, Name* selector) {
  const std::lock_guard lock(runtime().mutex);
  if (!object) return reinterpret_cast<void*>(&answer_nothing);
  if (object->references <= 0) {
    fault(described(object, selector) + ": the receiver's last reference was released");
    return reinterpret_cast<void*>(&answer_nothing);
  }
  if (pools.empty()) fault(described(object, selector) + ": a message without an autorelease pool");
  if (const MethodInfo* found = find(object->isa, selector)) return found->code;
  fault(described(object, selector) + ": unrecognized selector");
  return reinterpret_cast<void*>(&answer_nothing);
}

}  // extern "C"

// Finds the method and jumps to it with every argument where it was, on the stack too.
#if defined(__x86_64__)
asm(R"(
.text
.globl objc_msgSend
.type objc_msgSend, @function
objc_msgSend:
  push %rbp
  mov %rsp, %rbp
  sub $112, %rsp
  mov %rdi, -8(%rbp)
  mov %rsi, -16(%rbp)
  mov %rdx, -24(%rbp)
  mov %rcx, -32(%rbp)
  mov %r8, -40(%rbp)
  mov %r9, -48(%rbp)
  movups %xmm0, -64(%rbp)
  movups %xmm1, -80(%rbp)
  movups %xmm2, -96(%rbp)
  movups %xmm3, -112(%rbp)
  call metal_stub_find@PLT
  mov %rax, %r11
  mov -8(%rbp), %rdi
  mov -16(%rbp), %rsi
  mov -24(%rbp), %rdx
  mov -32(%rbp), %rcx
  mov -40(%rbp), %r8
  mov -48(%rbp), %r9
  movups -64(%rbp), %xmm0
  movups -80(%rbp), %xmm1
  movups -96(%rbp), %xmm2
  movups -112(%rbp), %xmm3
  leave
  jmp *%r11
.size objc_msgSend, .-objc_msgSend
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl objc_msgSend
.type objc_msgSend, %function
objc_msgSend:
  stp x29, x30, [sp, #-160]!
  mov x29, sp
  stp x0, x1, [sp, #16]
  stp x2, x3, [sp, #32]
  stp x4, x5, [sp, #48]
  stp x6, x7, [sp, #64]
  str x8, [sp, #80]
  stp q0, q1, [sp, #96]
  stp q2, q3, [sp, #128]
  bl metal_stub_find
  mov x16, x0
  ldp q2, q3, [sp, #128]
  ldp q0, q1, [sp, #96]
  ldr x8, [sp, #80]
  ldp x6, x7, [sp, #64]
  ldp x4, x5, [sp, #48]
  ldp x2, x3, [sp, #32]
  ldp x0, x1, [sp, #16]
  ldp x29, x30, [sp], #160
  br x16
.size objc_msgSend, .-objc_msgSend
)");
#endif
