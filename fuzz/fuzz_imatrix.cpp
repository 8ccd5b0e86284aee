// Files of importance: whatever the bytes, reading ends in a medlar::Error or in entries whose parts fit each
// other, and merging a file with itself doubles it.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "quant/imatrix.h"

namespace medlar::fuzz {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

void check(std::span<const std::byte> file) {
  try {
    quant::Imatrix m = quant::Imatrix::read(file, "fuzz.imatrix");
    for (const auto& [name, e] : m.entries) {
      require(e.columns > 0 && !e.counts.empty() && e.matrices() > 0);
      require(e.sums.empty() || e.sums.size() == e.squares.size());
      const std::vector<float> means = m.means(name);
      require(means.size() == e.squares.size());
      for (const float v : means) require(!std::isnan(v) && v >= 0);
    }
    const quant::Imatrix once = m;
    m.merge(once);
    require(m.entries.size() == once.entries.size());
    for (const auto& [name, e] : m.entries)
      require(e.counts[0] == 2 * once.entries.at(name).counts[0] && e.squares.size() * 4 <= file.size());
  } catch (const Error&) {
  }
}

template <class T>
void append(std::vector<std::byte>& bytes, T value) {
  const auto* at = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), at, at + sizeof(value));
}

// The older layout with counts that mostly fit.
void check_made(std::span<const std::uint8_t> data) {
  std::size_t at = 0;
  const auto next = [&] { return at < data.size() ? data[at++] : std::uint8_t{0}; };
  std::vector<std::byte> file;
  const std::int32_t entries = next() % 4;
  append(file, entries);
  for (std::int32_t i = 0; i < entries; ++i) {
    const std::int32_t length = next() % 8;
    append(file, length);
    for (std::int32_t k = 0; k < length; ++k) append(file, next());
    append(file, static_cast<std::int32_t>(next() % 16) - 1);
    const std::int32_t values = next() % 16;
    append(file, values);
    for (std::int32_t k = 0; k < 4 * values; ++k) append(file, next());
  }
  for (int i = next() % 16; i > 0; --i) append(file, next());
  check(file);
}

}  // namespace
}  // namespace medlar::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  medlar::fuzz::check(std::as_bytes(std::span(data, size)));
  medlar::fuzz::check_made(std::span(data, size));
  return 0;
}
