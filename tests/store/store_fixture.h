// What the store's tests share: a folder of their own, small models, an environment, and processes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/error.h"
#include "store/store.h"
#include "tests/store/http_server.h"

namespace medlar::testing {

// A new folder, removed at the end.
class TemporaryFolder {
 public:
  // `in_memory`: where there is a file system in memory, for tests that flush a thousand times.
  explicit TemporaryFolder(bool in_memory = false);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The bytes of a GGUF file with one f32 tensor of that many values, the same for the same `seed`.
std::string small_gguf(std::int64_t values, unsigned seed = 1);
// The parts of a split model, one tensor each.
std::vector<std::string> split_gguf(std::uint32_t parts);

std::string sha256_hex(std::string_view bytes);
std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, std::string_view text);
std::string random_bytes(std::size_t bytes, unsigned seed = 1);

// Options that lead nowhere but to `root`, and do not make a test wait.
store::StoreOptions test_options(const std::filesystem::path& root);

// The Error that `action` throws; fails the test when it throws none.
template <class Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorKind::io, "no error");
}

// A store_tool process.
class Tool {
 public:
  struct Options {
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment;
    rlim_t max_files = 0;    // 0: no limit of our own
    bool as_nobody = false;  // when the test runs as root, whom no permission stops
  };
  explicit Tool(const Options& options);
  ~Tool();  // kills
  Tool(const Tool&) = delete;
  Tool& operator=(const Tool&) = delete;

  void kill();              // SIGKILL
  std::string read_line();  // of its output; waits
  // Waits for the end. The exit status, or -SIGNAL.
  int wait();
  std::string output();  // all of it, after wait()
  void close_input();

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  std::string output_;
};

}  // namespace medlar::testing
