#include "base/page_memory.h"

#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

namespace medlar {

namespace {
constexpr std::size_t kLargePage = std::size_t{2} << 20;
}

PageMemory::PageMemory(std::size_t bytes, PageSize pages) : bytes_(bytes) {
  if (bytes == 0) return;
  const bool large = pages == PageSize::large && bytes >= kLargePage;
  mapped_ = bytes + (large ? kLargePage : 0);
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#ifdef MAP_NORESERVE
  flags |= MAP_NORESERVE;
#endif
  void* p = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (p == MAP_FAILED)
    throw Error(ErrorKind::out_of_memory, fmt::format("cannot reserve {} MB of memory", bytes >> 20),
                "use a smaller context (--ctx) or a smaller model");
  mapping_ = data_ = static_cast<std::byte*>(p);
  if (!large) return;
  const auto past = reinterpret_cast<std::uintptr_t>(p) % kLargePage;
  if (past) data_ += kLargePage - past;
#ifdef MADV_HUGEPAGE
  ::madvise(data_, bytes, MADV_HUGEPAGE);  // where it is refused, small pages do
#endif
}

PageMemory::~PageMemory() {
  if (mapping_) ::munmap(mapping_, mapped_);
}

PageMemory::PageMemory(PageMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_(std::exchange(other.mapped_, 0)) {}

PageMemory& PageMemory::operator=(PageMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

void PageMemory::release(std::size_t offset, std::size_t bytes) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t begin = (offset + page - 1) / page * page;
  const std::size_t end = (offset + bytes) / page * page;
  if (begin >= end) return;
  // Mapping anew frees the pages at once on every system; MADV_DONTNEED only promises it on Linux.
  ::mmap(data_ + begin, end - begin, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

}  // namespace medlar
