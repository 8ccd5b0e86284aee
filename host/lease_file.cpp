#include "host/lease_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

namespace medlar::host {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "MEDLEASE";
constexpr std::size_t kVersionAt = kMagic.size();
constexpr off_t kRecordBytes = kLeaseRecordBytes;

using Head = LeaseBytes;

Head make_head() {
  Head head{};
  std::memcpy(head.data(), kMagic.data(), kMagic.size());
  for (std::size_t i = 0; i < 4; ++i) head[kVersionAt + i] = static_cast<std::byte>(kLeaseVersion >> (8 * i));
  return head;
}

constexpr off_t offset_of(int place) { return kRecordBytes * (place + 1); }

// Whether all bytes were there. Throws Error(io).
bool read_at(int fd, off_t offset, std::span<std::byte> to, const fs::path& path) {
  for (;;) {
    const ssize_t count = ::pread(fd, to.data(), to.size(), offset);
    if (count >= 0) return count == static_cast<ssize_t>(to.size());
    if (errno != EINTR) fail_errno(path, "read", errno);
  }
}

void write_at(int fd, off_t offset, std::span<const std::byte> from, const fs::path& path) {
  for (;;) {
    const ssize_t count = ::pwrite(fd, from.data(), from.size(), offset);
    if (count == static_cast<ssize_t>(from.size())) return;
    if (count >= 0) fail_errno(path, "write", ENOSPC);
    if (errno != EINTR) fail_errno(path, "write", errno);
  }
}

struct flock range(short type, off_t offset, off_t bytes) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset;
  lock.l_len = bytes;  // 0: to the end, wherever that is
  return lock;
}

// False: another process has it.
bool try_lock(int fd, off_t offset, off_t bytes, const fs::path& path) {
  struct flock lock = range(F_WRLCK, offset, bytes);
  for (;;) {
    if (::fcntl(fd, F_SETLK, &lock) == 0) return true;
    if (errno == EACCES || errno == EAGAIN) return false;
    if (errno != EINTR) fail_errno(path, "lock", errno);
  }
}

void unlock(int fd, off_t offset, off_t bytes) {
  struct flock lock = range(F_UNLCK, offset, bytes);
  ::fcntl(fd, F_SETLK, &lock);
}

bool locked_by_others(int fd, off_t offset, off_t bytes) {
  struct flock lock = range(F_WRLCK, offset, bytes);
  return ::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int places_in(int fd, const fs::path& path) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) fail_errno(path, "examine", errno);
  return static_cast<int>(std::clamp<off_t>(status.st_size / kRecordBytes - 1, 0, kMostLeases));
}

// Of a head that is none of this version.
bool is_of_other_version(const Head& head) {
  return std::memcmp(head.data(), kMagic.data(), kMagic.size()) == 0;
}

}  // namespace

LeaseFile::LeaseFile(const fs::path& path, const LeaseRecord& own) : path_(path), owner_(::getpid()) {
  open();
  take_place(own);
}

LeaseFile::~LeaseFile() {
  if (place_ < 0 || ::getpid() != owner_) return;
  try {
    const LeaseBytes nobody{};
    if (still_named()) write_at(fd_.get(), offset_of(place_), nobody, path_);
  } catch (const Error&) {
    // Without its lock the record counts no more.
  }
}

bool LeaseFile::still_named() const {
  struct stat held{};
  struct stat named{};
  return ::fstat(fd_.get(), &held) == 0 && ::lstat(path_.c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

void LeaseFile::open() {
  std::error_code error;
  if (path_.has_parent_path()) fs::create_directories(path_.parent_path(), error);
  fd_ = FileDescriptor(
      ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600));
  if (!fd_.valid()) fail_errno(path_, "open", errno);
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) fail_errno(path_, "examine", errno);
  if (!S_ISREG(status.st_mode)) fail(ErrorKind::io, "{}: is no regular file", printable(path_.native()));
  check_head();
}

// The head of a version never changes, so whoever finds another one writes it again. What stands behind it
// may stay: no record counts without its checksum and a lock.
void LeaseFile::check_head() {
  Head found{};
  const Head right = make_head();
  const bool whole = read_at(fd_.get(), 0, found, path_);
  if (whole && found == right) return;
  if (place_ < 0 && whole && is_of_other_version(found) && locked_by_others(fd_.get(), kRecordBytes, 0))
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: programs of another version of Medlar use it", printable(path_.native())),
                "their memory is not shared out with this one's; update them");
  // Who is not first finds it done, or does it next time.
  if (!try_lock(fd_.get(), 0, kRecordBytes, path_)) return;
  struct stat status{};
  began_anew_ |= ::fstat(fd_.get(), &status) == 0 && status.st_size > 0;
  if (status.st_size > offset_of(kMostLeases) && ::ftruncate(fd_.get(), offset_of(kMostLeases)) != 0)
    fail_errno(path_, "shorten", errno);
  write_at(fd_.get(), 0, right, path_);
  unlock(fd_.get(), 0, kRecordBytes);
}

void LeaseFile::take_place(const LeaseRecord& own) {
  for (place_ = 0; place_ < kMostLeases; ++place_) {
    if (!try_lock(fd_.get(), offset_of(place_), kRecordBytes, path_)) continue;
    write_at(fd_.get(), offset_of(place_), encode(own), path_);
    return;
  }
  place_ = -1;
  throw Error(ErrorKind::limit, fmt::format("{}: is full", printable(path_.native())),
              fmt::format("{} programs use models at once", kMostLeases));
}

// Nothing where there is no record, or one that was never read whole.
std::optional<LeaseRecord> LeaseFile::read(int place) {
  constexpr int kTries = 3;  // it may be written just now
  LeaseBytes bytes{};
  for (int i = 0; i < kTries; ++i) {
    if (!read_at(fd_.get(), offset_of(place), bytes, path_)) return std::nullopt;
    if (std::optional<LeaseRecord> record = decode(bytes)) {
      seen_[place] = *record;
      return record;
    }
  }
  const auto before = seen_.find(place);
  return before == seen_.end() ? std::nullopt : std::optional(before->second);
}

std::vector<LeaseFile::Entry> LeaseFile::exchange(const LeaseRecord& own) {
  if (!still_named()) {  // somebody removed or replaced it
    place_ = -1;
    seen_.clear();
    open();
    take_place(own);
  }
  check_head();
  // Locks of a process go when it closes any descriptor of the file, so this asks for it again.
  if (!try_lock(fd_.get(), offset_of(place_), kRecordBytes, path_)) take_place(own);
  const LeaseBytes wanted = encode(own);
  LeaseBytes present{};
  if (!read_at(fd_.get(), offset_of(place_), present, path_) || present != wanted)
    write_at(fd_.get(), offset_of(place_), wanted, path_);
  std::vector<Entry> entries;
  const int places = places_in(fd_.get(), path_);
  for (int place = 0; place < places; ++place) {
    if (place == place_) {
      entries.push_back({.place = place, .own = true, .record = own});
    } else if (!locked_by_others(fd_.get(), offset_of(place), kRecordBytes)) {
      seen_.erase(place);
    } else if (auto record = read(place); record && record->machine == own.machine) {
      entries.push_back({.place = place, .record = *std::move(record)});
    }
  }
  return entries;
}

LeaseFileState inspect_lease_file(const fs::path& path) {
  LeaseFileState state;
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    if (errno != ENOENT) state.problem = fmt::format("cannot be opened: {}", std::strerror(errno));
    return state;
  }
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    state.problem = "is no regular file";
    return state;
  }
  try {
    Head head{};
    if (!read_at(fd.get(), 0, head, path) || head != make_head()) {
      state.problem = is_of_other_version(head) ? "is of another version" : "is damaged";
      return state;
    }
    LeaseBytes bytes{};
    for (int place = 0, places = places_in(fd.get(), path); place < places; ++place) {
      if (!read_at(fd.get(), offset_of(place), bytes, path)) break;
      const bool live = locked_by_others(fd.get(), offset_of(place), kRecordBytes);
      if (live && !decode(bytes)) ++state.damaged;
      if (live) ++state.live;
      if (!live && bytes != LeaseBytes{}) ++state.stale;
    }
  } catch (const Error& error) {
    state.problem = error.what();
  }
  return state;
}

}  // namespace medlar::host
