// The inhibitor lock of logind (systemd.io/INHIBITOR_LOCKS): a descriptor that D-Bus hands over. libsystemd
// is loaded when it is first needed, so that Medlar runs where there is none.
#include "host/awake.h"

#if defined(__linux__)

#include <cstdint>

#include <dlfcn.h>
#include <fcntl.h>

#include "base/posix.h"

namespace medlar::host {
namespace {

struct Bus;
struct Message;
constexpr std::uint64_t kPatience = 1'000'000;  // microseconds

// The functions of sd-bus(3) that it takes, by their own names.
struct Library {
  int (*sd_bus_open_system)(Bus**) = nullptr;
  int (*sd_bus_set_method_call_timeout)(Bus*, std::uint64_t) = nullptr;
  int (*sd_bus_call_method)(Bus*, const char* destination, const char* path, const char* interface,
                            const char* member, void* error, Message** reply, const char* types,
                            ...) = nullptr;
  int (*sd_bus_message_read)(Message*, const char* types, ...) = nullptr;
  Message* (*sd_bus_message_unref)(Message*) = nullptr;
  Bus* (*sd_bus_flush_close_unref)(Bus*) = nullptr;

  // False: not all of them are there. The library stays loaded.
  bool load() {
    void* const handle = ::dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return false;
    const auto find = [handle](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(handle, name));
      return function != nullptr;
    };
    return find(sd_bus_open_system, "sd_bus_open_system") &&
           find(sd_bus_set_method_call_timeout, "sd_bus_set_method_call_timeout") &&
           find(sd_bus_call_method, "sd_bus_call_method") &&
           find(sd_bus_message_read, "sd_bus_message_read") &&
           find(sd_bus_message_unref, "sd_bus_message_unref") &&
           find(sd_bus_flush_close_unref, "sd_bus_flush_close_unref");
  }
};

class LogindLock : public SleepLock {
 public:
  explicit LogindLock(FileDescriptor lock) : lock_(std::move(lock)) {}

 private:
  FileDescriptor lock_;
};

FileDescriptor ask(const Library& library, Bus* bus, const std::string& reason) {
  Message* reply = nullptr;
  library.sd_bus_set_method_call_timeout(bus, kPatience);
  if (library.sd_bus_call_method(bus, "org.freedesktop.login1", "/org/freedesktop/login1",
                                 "org.freedesktop.login1.Manager", "Inhibit", nullptr, &reply, "ssss",
                                 "idle:sleep", "Medlar", reason.c_str(), "block") < 0)
    return FileDescriptor();
  int descriptor = -1;  // the message's own
  FileDescriptor lock;
  if (library.sd_bus_message_read(reply, "h", &descriptor) > 0)
    lock = FileDescriptor(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  library.sd_bus_message_unref(reply);
  return lock;
}

}  // namespace

std::unique_ptr<SleepLock> lock_by_logind(const std::string& reason) {
  Library library;
  Bus* bus = nullptr;
  if (!library.load() || library.sd_bus_open_system(&bus) < 0) return nullptr;
  FileDescriptor lock = ask(library, bus, reason);
  library.sd_bus_flush_close_unref(bus);
  return lock.valid() ? std::make_unique<LogindLock>(std::move(lock)) : nullptr;
}

}  // namespace medlar::host

#else

namespace medlar::host {

std::unique_ptr<SleepLock> lock_by_logind(const std::string&) { return nullptr; }

}  // namespace medlar::host

#endif
