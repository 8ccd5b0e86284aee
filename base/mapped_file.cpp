// Mapping, and the SIGBUS handler that keeps a lost page from ending the process.
#include "base/mapped_file.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"

namespace medlar {
namespace {

// One mapping as the signal handler sees it. `begin` is 0 while the slot is free and kClaimed while it is
// filled.
struct Slot {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};  // whole pages
  std::atomic<int> fd{-1};
  std::atomic<bool> damaged{false};
};

constexpr std::uintptr_t kClaimed = 1;
constexpr int kSlots = 4096;

// A signal handler can reach nothing but globals: these are the only ones. Mappings own their slots.
constinit std::array<Slot, kSlots> g_slots;
struct sigaction g_previous;  // written once, before the handler can run
std::size_t g_page = 4096;    // likewise

static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

// Replaces what the file can no longer supply by zero pages: everything past its present end, or, where the
// file is long enough and a read failed, one page. Only async-signal-safe calls.
bool cover_with_zeros(const Slot& slot, std::uintptr_t begin, std::uintptr_t end, std::uintptr_t fault) {
  std::uintptr_t first = fault / g_page * g_page;
  std::uintptr_t last = first + g_page;
  struct stat now;
  if (::fstat(slot.fd.load(), &now) == 0 && now.st_size >= 0) {
    const auto present = (static_cast<std::uintptr_t>(now.st_size) + g_page - 1) / g_page * g_page;
    if (begin + present <= first) {
      first = begin + present;
      last = end;
    }
  }
  void* at = reinterpret_cast<void*>(first);
  return ::mmap(at, last - first, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

// A mapping cannot be released while one of its pages is being read, so a slot whose `begin` is the same
// before and after `end` is read describes a live mapping, and at most one of those contains the address.
bool repair(std::uintptr_t fault) {
  for (Slot& slot : g_slots) {
    const std::uintptr_t begin = slot.begin.load();
    if (begin <= kClaimed || fault < begin) continue;
    const std::uintptr_t end = slot.end.load();
    if (fault >= end || slot.begin.load() != begin) continue;
    slot.damaged.store(true);
    return cover_with_zeros(slot, begin, end, fault);
  }
  return false;
}

void pass_on(int signal, siginfo_t* info, void* context) {
  const bool was_sent = info->si_code <= 0;  // by a process, not caused by an access
  if (g_previous.sa_flags & SA_SIGINFO) {
    g_previous.sa_sigaction(signal, info, context);
  } else if (g_previous.sa_handler != SIG_DFL && g_previous.sa_handler != SIG_IGN) {
    g_previous.sa_handler(signal);
  } else if (g_previous.sa_handler == SIG_DFL || !was_sent) {
    // Returning repeats a faulting access, which now ends the process as it would have without us.
    ::signal(SIGBUS, SIG_DFL);
    if (was_sent) ::raise(SIGBUS);
  }
}

void on_sigbus(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const bool is_access = info->si_code > 0;
  if (!is_access || !repair(reinterpret_cast<std::uintptr_t>(info->si_addr))) pass_on(signal, info, context);
  errno = saved_errno;
}

void install_handler() {
  static const bool installed = [] {
    g_page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    ::sigaction(SIGBUS, nullptr, &g_previous);
    struct sigaction ours = {};
    ours.sa_sigaction = on_sigbus;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    return ::sigaction(SIGBUS, &ours, nullptr) == 0;
  }();
  if (!installed) fail(ErrorKind::io, "cannot handle SIGBUS, so files cannot be mapped safely");
}

int claim_slot() {
  for (int i = 0; i < kSlots; ++i) {
    std::uintptr_t free = 0;
    if (g_slots[static_cast<std::size_t>(i)].begin.compare_exchange_strong(free, kClaimed)) return i;
  }
  throw Error(ErrorKind::limit, fmt::format("{} files are mapped at once", kSlots), "unload a model");
}

Slot& slot_at(int i) { return g_slots[static_cast<std::size_t>(i)]; }

std::size_t whole_pages(std::size_t bytes) { return checked_align_up(bytes, g_page, "mapping"); }

FileIdentity identity_of(const struct stat& s) {
#ifdef __APPLE__
  const struct timespec& t = s.st_mtimespec;
#else
  const struct timespec& t = s.st_mtim;
#endif
  return {.device = static_cast<std::uint64_t>(s.st_dev),
          .inode = static_cast<std::uint64_t>(s.st_ino),
          .size = static_cast<std::uint64_t>(s.st_size),
          .modified_ns = static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec};
}

void require_regular(const std::filesystem::path& path, const struct stat& s) {
  if (S_ISREG(s.st_mode)) return;
  const std::string_view what = S_ISDIR(s.st_mode)    ? "a directory"
                                : S_ISFIFO(s.st_mode) ? "a pipe"
                                : S_ISSOCK(s.st_mode) ? "a socket"
                                                      : "a device";
  throw Error(ErrorKind::usage, fmt::format("{}: is {}, not a file", printable(path.native()), what),
              "give the path of a regular file");
}

// Looked at twice: before opening, because opening a device can act on it, and after, because the path may
// have come to mean something else. O_NONBLOCK keeps a pipe put there in between from blocking.
FileDescriptor open_regular(const std::filesystem::path& path, struct stat& status) {
  if (::stat(path.c_str(), &status) != 0) fail_errno(path, "open", errno);
  require_regular(path, status);
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) fail_errno(path, "open", errno);
  require_regular(path, status);
  return fd;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  struct stat status;
  fd_ = open_regular(path, status);
  identity_ = identity_of(status);
  if (identity_.size == 0) return;  // an empty range cannot be mapped

  install_handler();
  const auto size = checked_cast<std::size_t>(identity_.size, printable(path.native()));
  const int slot = claim_slot();
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_.get(), 0);
  if (at == MAP_FAILED) {
    const int error = errno;
    slot_at(slot).begin.store(0);
    fail_errno(path, "map", error);
  }
  bytes_ = {static_cast<const std::byte*>(at), size};
  slot_ = slot;
  const auto begin = reinterpret_cast<std::uintptr_t>(at);
  slot_at(slot).damaged.store(false);
  slot_at(slot).fd.store(fd_.get());
  slot_at(slot).end.store(begin + whole_pages(size));
  slot_at(slot).begin.store(begin);  // last: from here on the handler knows it
}

MappedFile::~MappedFile() {
  if (slot_ < 0) return;
  slot_at(slot_).begin.store(0);
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::move(other.fd_)),
      identity_(other.identity_),
      bytes_(std::exchange(other.bytes_, {})),
      slot_(std::exchange(other.slot_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(identity_, other.identity_);
  std::swap(bytes_, other.bytes_);
  std::swap(slot_, other.slot_);
  return *this;
}

bool MappedFile::damaged() const noexcept { return slot_ >= 0 && slot_at(slot_).damaged.load(); }

void MappedFile::check() const {
  if (!damaged()) return;
  struct stat now;
  const bool shorter =
      ::fstat(fd_.get(), &now) != 0 || static_cast<std::uint64_t>(now.st_size) < identity_.size;
  throw Error(
      ErrorKind::io,
      fmt::format("{}: was {} while in use", printable(path_.native()), shorter ? "truncated" : "unreadable"),
      shorter ? "restore the file and load it again; replace model files by renaming, not by overwriting"
              : "check the disk, and download the file again if it is damaged");
}

bool MappedFile::changed() const {
  if (!fd_.valid()) return false;
  struct stat now;
  return ::fstat(fd_.get(), &now) != 0 || identity_of(now) != identity_;
}

void MappedFile::advise(std::span<const std::byte> range, Advice advice) const noexcept {
  if (range.empty() || bytes_.empty()) return;
  const auto begin = reinterpret_cast<std::uintptr_t>(range.data()) / g_page * g_page;
  const auto end = reinterpret_cast<std::uintptr_t>(range.data()) + range.size();
  int hint = MADV_WILLNEED;
  if (advice == Advice::sequential) hint = MADV_SEQUENTIAL;
  if (advice == Advice::random) hint = MADV_RANDOM;
  if (advice == Advice::dontneed) hint = MADV_DONTNEED;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, hint);
}

}  // namespace medlar
