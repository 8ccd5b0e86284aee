// Anonymous memory straight from the system: zeroed, page aligned, committed as it is touched, given back by
// range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace medlar {

// How memory is to be backed. Large pages spare address translation where all of it is worked on over and
// over; they are committed whole, and only where the system has them to give.
enum class PageSize : std::uint8_t { normal, large };

// Move-only owner. Throws Error(out_of_memory) when the address space cannot be had.
class PageMemory {
 public:
  PageMemory() = default;
  explicit PageMemory(std::size_t bytes, PageSize pages = PageSize::normal);
  ~PageMemory();
  PageMemory(PageMemory&& other) noexcept;
  PageMemory& operator=(PageMemory&& other) noexcept;

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }
  std::span<std::byte> span() const { return {data_, bytes_}; }

  // Gives the whole pages inside [offset, offset + bytes) back; they read as zero afterwards.
  void release(std::size_t offset, std::size_t bytes) const;

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::byte* mapping_ = nullptr;
  std::size_t mapped_ = 0;
};

}  // namespace medlar
