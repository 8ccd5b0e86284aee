#include "runtime/gpu/weights.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>

#include "base/assert.h"

namespace medlar::runtime::gpu {
namespace {

constexpr std::size_t kTableAlignment = 64;
// Between tensors of one file there is only padding. More than this may be the border of another mapping.
constexpr std::uintptr_t kMaxGap = 256;
// A tensor is aligned on the device as it is in the mapping, up to this.
constexpr std::uintptr_t kAlignment = 16;

std::uintptr_t address(const std::byte* p) { return reinterpret_cast<std::uintptr_t>(p); }

}  // namespace

Weights::Weights(Device& device, const ir::Graph& graph) {
  for (const ir::NamedTensor& w : graph.weights()) weights_.push_back(w.tensor.bytes);
  import(device);
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

void Weights::import(Device& device) {
  std::vector<std::span<const std::byte>> sorted;
  std::ranges::copy_if(weights_, std::back_inserter(sorted), [](auto bytes) { return !bytes.empty(); });
  std::ranges::sort(sorted, std::less<>(), [](auto bytes) { return bytes.data(); });
  for (const auto bytes : sorted) {
    const std::byte* end = bytes.data() + bytes.size();
    if (!ranges_.empty()) {
      std::span<const std::byte>& last = ranges_.back().bytes;
      const std::byte* last_end = last.data() + last.size();
      if (address(bytes.data()) < address(last_end) + kMaxGap) {
        last = {last.data(), std::max(last_end, end)};
        continue;
      }
    }
    const std::size_t before =
        address(bytes.data()) % kAlignment;  // in the mapping, which begins with a page
    ranges_.push_back({{bytes.data() - before, bytes.size() + before}, nullptr});
  }
  for (Range& range : ranges_) range.buffer = device.import(range.bytes);
}

Binding Weights::weight(int index) const {
  const std::byte* at = weights_[static_cast<std::size_t>(index)].data();
  const auto after =
      std::ranges::upper_bound(ranges_, at, std::less<>(), [](const Range& r) { return r.bytes.data(); });
  MEDLAR_ASSERT(after != ranges_.begin());
  const Range& range = *(after - 1);
  return {range.buffer.get(), static_cast<std::uint64_t>(at - range.bytes.data())};
}

Binding Weights::table(int index) const {
  return {tables_.get(), table_offsets_[static_cast<std::size_t>(index)]};
}

}  // namespace medlar::runtime::gpu
