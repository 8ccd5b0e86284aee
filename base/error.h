// The one error type: what happened, to what, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace medlar {

enum class ErrorKind {
  usage,          // the caller asked for something that makes no sense
  not_found,      // a file, model or name that does not exist
  bad_file,       // a file that breaks its format's rules
  unsupported,    // a valid request that this build or machine cannot serve
  io,             // the operating system refused a read, write or map
  network,        // a download failed
  no_space,       // the disk is full
  out_of_memory,  // memory could not be had, or the plan does not fit
  device,         // a GPU failed or is missing
  cancelled,      // the caller asked to stop
  limit,          // a budget (depth, steps, size, context) was used up
};

// Thrown where a problem is found and caught at the boundaries: CLI, HTTP handler, C ABI.
// what() is one line: what happened and to what. hint() is one line saying what to do, or empty.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, std::string hint = {})
      : std::runtime_error(message), kind_(kind), hint_(std::move(hint)) {}

  ErrorKind kind() const noexcept { return kind_; }
  const std::string& hint() const noexcept { return hint_; }

 private:
  ErrorKind kind_;
  std::string hint_;
};

// fail(ErrorKind::bad_file, "{}: version {}", path, v) throws an Error without a hint.
template <class... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace medlar
