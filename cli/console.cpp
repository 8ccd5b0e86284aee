#include "cli/console.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/posix.h"

namespace medlar::cli {
namespace {

constexpr std::size_t kLargestInput = std::size_t{1} << 30;

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

}  // namespace

Console Console::probe() {
  return {probe_terminal(STDIN_FILENO), probe_terminal(STDOUT_FILENO), probe_terminal(STDERR_FILENO)};
}

void Console::write(std::string_view bytes) const {
  errno = 0;
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout) != 0)
    fail_errno("standard output", "write", errno);
}

void Console::write_foreign(std::string_view text) const {
  if (output.interactive) {
    write(visible(text));
  } else {
    write(text);
  }
}

void Console::message(std::string_view line) const {
  fmt::print(stderr, "{}\n", line);
  std::fflush(stderr);
}

std::string read_input(std::string_view path) {
  const std::string name = path == "-" ? "standard input" : std::string(path);
  const std::unique_ptr<std::FILE, CloseFile> file(path == "-" ? stdin : std::fopen(name.c_str(), "rb"));
  if (!file) fail_errno(name, "open", errno);
  std::string content;
  std::array<char, 1 << 16> chunk;
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    content.append(chunk.data(), count);
    if (content.size() > kLargestInput) fail(ErrorKind::limit, "{}: more than 1 GiB", name);
  }
  if (std::ferror(file.get())) fail_errno(name, "read", errno);
  return content;
}

}  // namespace medlar::cli
