// Running another program: without a shell, watched, and ended when asked.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace medlar::store {

struct ProcessOptions {
  std::vector<std::string> arguments;                              // [0]: the program, looked up in PATH
  std::vector<std::pair<std::string, std::string>> environment{};  // set in addition to ours
  // Called about ten times a second. When it throws, the program and its children are ended first.
  std::function<void()> tick;
};

struct ProcessResult {
  int status = 0;      // exit status; 128 + signal when a signal ended it
  std::string output;  // the last 16 KiB of what it wrote to stdout and stderr together
};

// Throws Error(not_found) when there is no such program, io when it cannot be started, or what tick() throws.
ProcessResult run_process(const ProcessOptions& options);

}  // namespace medlar::store
