#include "runtime/gpu/weights.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>

#include "base/assert.h"
#include "base/error.h"

namespace medlar::runtime::gpu {
namespace {

constexpr std::size_t kTableAlignment = 64;
// Between tensors of one file there is only padding. More than this may be the border of another mapping.
constexpr std::uintptr_t kMaxGap = 256;
// A tensor is aligned on the device as it is in the mapping, up to this.
constexpr std::uintptr_t kAlignment = 16;

std::uintptr_t address(const std::byte* p) { return reinterpret_cast<std::uintptr_t>(p); }
bool covers(std::span<const std::byte> all, std::span<const std::byte> part) {
  return address(part.data()) >= address(all.data()) &&
         address(part.data() + part.size()) <= address(all.data() + all.size());
}

}  // namespace

std::shared_ptr<const Import> Imports::get(Device& device, std::span<const std::byte> bytes) {
  std::erase_if(held_, [](const std::weak_ptr<const Import>& import) { return import.expired(); });
  for (const std::weak_ptr<const Import>& known : held_)
    if (const auto import = known.lock(); import && covers(import->bytes, bytes)) return import;
  if (bytes.size() > device.largest_import())
    fail(ErrorKind::unsupported, "device {} takes no weights of {} MB in one piece", device.name(),
         bytes.size() >> 20);
  auto made = std::make_shared<const Import>(Import{bytes, device.import(bytes)});
  held_.push_back(made);
  return made;
}

std::int64_t Imports::bytes() const {
  std::int64_t bytes = 0;
  for (const std::weak_ptr<const Import>& known : held_)
    if (const auto import = known.lock()) bytes += std::ssize(import->bytes);
  return bytes;
}

Weights::Weights(Device& device, Imports& imports, const ir::Graph& graph) {
  for (const ir::NamedTensor& w : graph.weights()) weights_.push_back(w.tensor.bytes);
  import(device, imports);
  std::size_t end = 0;
  for (const std::vector<float>& table : graph.tables()) {
    table_offsets_.push_back(end);
    end += (table.size() * sizeof(float) + kTableAlignment - 1) / kTableAlignment * kTableAlignment;
  }
  if (end == 0) return;
  tables_ = device.allocate(end);
  for (std::size_t i = 0; i < graph.tables().size(); ++i)
    device.write(*tables_, table_offsets_[i], std::as_bytes(std::span(graph.tables()[i])));
}

void Weights::import(Device& device, Imports& imports) {
  std::vector<std::span<const std::byte>> sorted, ranges;
  std::ranges::copy_if(weights_, std::back_inserter(sorted), [](auto bytes) { return !bytes.empty(); });
  std::ranges::sort(sorted, std::less<>(), [](auto bytes) { return bytes.data(); });
  for (const auto bytes : sorted) {
    const std::byte* end = bytes.data() + bytes.size();
    if (!ranges.empty()) {
      std::span<const std::byte>& last = ranges.back();
      const std::byte* last_end = last.data() + last.size();
      const std::span<const std::byte> both(last.data(), std::max(last_end, end));
      if (address(bytes.data()) < address(last_end) + kMaxGap && both.size() <= device.largest_import()) {
        last = both;
        continue;
      }
    }
    const std::size_t before =
        address(bytes.data()) % kAlignment;  // in the mapping, which begins with a page
    ranges.emplace_back(bytes.data() - before, bytes.size() + before);
  }
  for (const auto range : ranges) imports_.push_back(imports.get(device, range));
}

Binding Weights::weight(int index) const {
  const std::byte* at = weights_[static_cast<std::size_t>(index)].data();
  const auto after = std::ranges::upper_bound(imports_, at, std::less<>(),
                                              [](const auto& import) { return import->bytes.data(); });
  MEDLAR_ASSERT(after != imports_.begin());
  const Import& import = **(after - 1);
  return {import.buffer.get(), static_cast<std::uint64_t>(at - import.bytes.data())};
}

Binding Weights::table(int index) const {
  return {tables_.get(), table_offsets_[static_cast<std::size_t>(index)]};
}

}  // namespace medlar::runtime::gpu
