#include "runtime/gpu/library.h"

#include <utility>

#include <dlfcn.h>

#include "base/error.h"

namespace medlar::runtime::gpu {

Library::Library(std::initializer_list<const char*> names, std::string hint) : hint_(std::move(hint)) {
  for (const char* name : names) {
    handle_ = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!handle_) continue;
    name_ = name;
    return;
  }
  throw Error(ErrorKind::device, fmt::format("{} cannot be loaded", *names.begin()), hint_);
}

Library::~Library() { ::dlclose(handle_); }

void* Library::look(const char* name) const { return ::dlsym(handle_, name); }

void* Library::find(const char* name) const {
  void* const found = look(name);
  if (!found) throw Error(ErrorKind::device, fmt::format("{} is too old: it has no {}", name_, name), hint_);
  return found;
}

}  // namespace medlar::runtime::gpu
