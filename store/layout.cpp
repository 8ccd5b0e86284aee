#include "store/layout.h"

#include <cerrno>
#include <cstdlib>
#include <limits>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/posix.h"

namespace medlar::store {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxStem = 160;  // file systems take names of 255 bytes; leaves room for suffixes

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

fs::path default_root() {
  if (const std::string own = environment("MEDLAR_HOME"); !own.empty()) return fs::absolute(own);
  const std::string home = environment("HOME");
#if defined(__APPLE__)
  if (!home.empty()) return fs::path(home) / "Library/Application Support/Medlar";
#else
  // The XDG specification says to ignore a relative path.
  if (const fs::path data = environment("XDG_DATA_HOME"); data.is_absolute()) return data / "medlar";
  if (!home.empty()) return fs::path(home) / ".local/share/medlar";
#endif
  throw Error(ErrorKind::usage, "no place for models is known: neither MEDLAR_HOME nor HOME is set",
              "set MEDLAR_HOME to a folder");
}

std::string file_stem(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
        (c == '.' && !out.empty())) {
      out += c;
    } else if (c >= 'A' && c <= 'Z') {
      out += '!';
      out += static_cast<char>(c - 'A' + 'a');
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  if (out.size() <= kMaxStem) return out;
  Sha256 hash;
  hash.update(std::as_bytes(std::span(name)));
  return out.substr(0, kMaxStem) + "-" + hash.finish().hex().substr(0, 16);
}

void Layout::create() const {
  for (const fs::path& folder : {root, blobs(), models(), partial()}) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) fail_errno(folder, "create the folder", error.value());
  }
}

bool has_blob(const Layout& layout, const Digest& digest, std::uint64_t bytes) {
  struct stat status;
  return ::stat(layout.blob(digest).c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         static_cast<std::uint64_t>(status.st_size) == bytes;
}

std::uint64_t free_bytes(const fs::path& path) {
  struct statvfs status;
  if (::statvfs(path.c_str(), &status) != 0) return std::numeric_limits<std::uint64_t>::max();
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

void flush_folder(const fs::path& folder) {
  const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  if (!fd.valid()) fail_errno(folder, "open", errno);
  // Some file systems cannot flush a folder, and need not.
  if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != ENOTSUP) fail_errno(folder, "flush", errno);
}

void flush_file(int fd, const fs::path& path) {
#if defined(F_FULLFSYNC)
  if (::fcntl(fd, F_FULLFSYNC) == 0) return;  // plain fsync stops at the drive's cache on macOS
#endif
  if (::fsync(fd) != 0) fail_errno(path, "flush", errno);
}

}  // namespace medlar::store
