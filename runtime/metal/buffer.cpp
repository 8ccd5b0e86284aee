#include "runtime/metal/buffer.h"

#include <cstdint>

#include <unistd.h>

#include "base/error.h"

namespace medlar::runtime::metal {
namespace {

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

[[noreturn]] void refuse(const char* what, std::size_t bytes) {
  throw Error(ErrorKind::out_of_memory, fmt::format("Metal: cannot {} {} MB", what, bytes >> 20),
              "use a smaller context (--ctx) or model, or --device cpu");
}

}  // namespace

Buffer::Buffer(const Place& place, std::size_t bytes) : place_(place), size_(bytes) {
  const System& system = place.system;
  const Pool pool(system.objc);
  handle_ = {system.objc, system.call.make_buffer(system.device.get(), bytes, kSharedUntracked)};
  if (!handle_) refuse("allocate", bytes);
  data_ = static_cast<std::byte*>(system.call.contents(handle_.get()));
  place_.residency.add(handle_.get());
}

Buffer::Buffer(const Place& place, std::span<const std::byte> bytes) : place_(place), size_(bytes.size()) {
  const System& system = place.system;
  const Pool pool(system.objc);
  const std::size_t page = page_bytes();
  const auto at = reinterpret_cast<std::uintptr_t>(bytes.data());
  begin_ = at % page;
  const std::size_t whole = (begin_ + bytes.size() + page - 1) / page * page;
  // Kernels only read what was imported.
  data_ = const_cast<std::byte*>(bytes.data());
  handle_ = {system.objc,
             system.call.view_bytes(system.device.get(), data_ - begin_, whole, kSharedUntracked, nullptr)};
  if (!handle_) refuse("view a mapping of", whole);
  place_.residency.add(handle_.get());
}

// Lists hold no references to what they use.
Buffer::~Buffer() {
  if (!handle_) return;
  place_.queue.finish();
  if (!asleep_) place_.residency.remove(handle_.get());
}

void Buffer::sleep() {
  if (asleep_) return;
  const Pool pool(place_.system.objc);
  place_.residency.remove(handle_.get());
  place_.system.call.set_purgeable(handle_.get(), kVolatile);
  asleep_ = true;
}

void Buffer::wake_up() {
  const Pool pool(place_.system.objc);
  place_.system.call.set_purgeable(handle_.get(), kNonVolatile);
  place_.residency.add(handle_.get());
  asleep_ = false;
}

std::size_t largest_view(const System& system) {
  const Pool pool(system.objc);
  return system.call.max_buffer(system.device.get()) - 2 * page_bytes();
}

}  // namespace medlar::runtime::metal
