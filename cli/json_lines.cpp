#include "cli/json_lines.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/json.h"

namespace medlar::cli {

JsonLinesFile::JsonLinesFile(std::filesystem::path path,
                             const std::function<void(const std::string& line)>& take)
    : path_(std::move(path)) {
  open();
  try {
    std::ifstream file(path_, std::ios::binary);
    std::int64_t whole = 0;
    // Without a newline at its end, the process died while it wrote.
    for (std::string line; std::getline(file, line) && !file.eof();) {
      take(line);
      whole += static_cast<std::int64_t>(line.size()) + 1;
    }
    cut_bytes_ = ::lseek(descriptor_, 0, SEEK_END) - whole;
    if (cut_bytes_ > 0 && ::ftruncate(descriptor_, whole) != 0) fail("repair");
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

JsonLinesFile::~JsonLinesFile() { ::close(descriptor_); }

void JsonLinesFile::open() {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail("write");
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(descriptor_);
  throw Error(ErrorKind::limit, fmt::format("another process writes to {}", path_.string()),
              "wait for it, or give another file");
}

void JsonLinesFile::add(const boost::json::object& line) {
  const std::string text = to_line(line);
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t count = ::write(descriptor_, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write");
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

void JsonLinesFile::sync() {
  if (::fsync(descriptor_) != 0 && errno != EINVAL) fail("write");
}

void JsonLinesFile::fail(const char* doing) const {
  throw Error(errno == ENOSPC ? ErrorKind::no_space : ErrorKind::io,
              fmt::format("cannot {} {}: {}", doing, path_.string(), std::strerror(errno)),
              "the same command goes on from here");
}

}  // namespace medlar::cli
