// Safetensors: whatever the bytes, parsing ends in a medlar::Error or in views that cover the data exactly.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace medlar;
  const auto require = [](bool holds) {
    if (!holds) __builtin_trap();
  };
  const auto file = std::as_bytes(std::span(data, size));
  try {
    const std::byte* end = nullptr;
    for (const safetensors::Tensor& tensor : safetensors::parse(file, "input")) {
      require(!tensor.name.empty() && (end == nullptr || tensor.bytes.data() == end));
      end = tensor.bytes.data() + tensor.bytes.size();
    }
    require(end == nullptr || end == file.data() + file.size());
  } catch (const Error& e) {
    require(e.kind() == ErrorKind::bad_file && std::string_view(e.what()).starts_with("input: "));
  }
  return 0;
}

// Most inputs are a header whose length is right, so that its text is what changes.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  constexpr std::size_t kLength = 8;
  if (size < kLength || max_size <= kLength || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  size = kLength + LLVMFuzzerMutate(data + kLength, size - kLength, max_size - kLength);
  const std::string_view text(reinterpret_cast<const char*>(data + kLength), size - kLength);
  const std::uint64_t header = text.rfind('}') == text.npos ? text.size() : text.rfind('}') + 1;
  for (std::size_t i = 0; i < kLength; ++i) data[i] = static_cast<std::uint8_t>(header >> (8 * i));
  return size;
}
