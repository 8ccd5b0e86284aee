// A shared library that may or may not be on the machine.
#pragma once

#include <initializer_list>
#include <string>

namespace medlar::runtime::gpu {

class Library {
 public:
  // Opens the first of these that there is. Throws Error(device) naming them all, with `hint`.
  Library(std::initializer_list<const char*> names, std::string hint);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  // Throws Error(device) where the library is too old to have it.
  template <class Function>
  Function* get(const char* name) const {
    return reinterpret_cast<Function*>(find(name));
  }
  // Null where it has none.
  template <class Function>
  Function* try_get(const char* name) const {
    return reinterpret_cast<Function*>(look(name));
  }

 private:
  void* find(const char* name) const;
  void* look(const char* name) const;

  std::string name_, hint_;
  void* handle_ = nullptr;
};

}  // namespace medlar::runtime::gpu
