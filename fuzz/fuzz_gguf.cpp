// GGUF: whatever the bytes, parsing ends in a medlar::Error or in views that lie inside the file.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "fuzz/raw_gguf.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace medlar::fuzz {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

bool inside(std::span<const std::byte> part, std::span<const std::byte> whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

// Reads the key as T, as a list of T, and as T in every layer.
template <class T>
void read_as(const gguf::Metadata& metadata, std::string_view key) {
  try {
    metadata.get<T>(key);
  } catch (const Error&) {
  }
  try {
    metadata.find<std::vector<T>>(key);
  } catch (const Error&) {
  }
}

void read_all(const gguf::Metadata& metadata, std::string_view key) {
  read_as<bool>(metadata, key);
  read_as<std::uint8_t>(metadata, key);
  read_as<std::int16_t>(metadata, key);
  read_as<std::uint32_t>(metadata, key);
  read_as<std::int64_t>(metadata, key);
  read_as<float>(metadata, key);
  read_as<double>(metadata, key);
  read_as<std::string_view>(metadata, key);
  try {
    metadata.per_layer<std::uint32_t>(key, 3);
  } catch (const Error&) {
  }
}

void check_split_name(std::string_view name) {
  if (const auto split = gguf::SplitName::parse(name)) {
    require(split->file_name(split->part) == name && name.find('/') == name.npos);
  }
}

void check(const gguf::Contents& contents, std::span<const std::byte> file) {
  for (const gguf::Entry& entry : contents.metadata.entries()) {
    require(inside(std::as_bytes(std::span(entry.key)), file) && inside(entry.value, file));
    require(contents.metadata.entry(entry.key) == &entry);
    read_all(contents.metadata, entry.key);
    check_split_name(entry.key);
  }
  const std::byte* end = file.data() + contents.data_offset;
  for (const gguf::Tensor& tensor : contents.tensors) {
    require(inside(tensor.view.bytes, file) && tensor.view.bytes.data() >= end && !tensor.view.bytes.empty());
    require((tensor.view.bytes.data() - file.data()) % contents.alignment == 0);
    require(tensor.view.shape.elements() > 0);
    end = tensor.view.bytes.data() + tensor.view.bytes.size();
  }
}

void mutate_text(std::string& text, Random& random) {
  const std::size_t size = text.size(), room = size + below(random, 16);
  text.resize(room);
  text.resize(
      LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(text.data()), size, std::max<std::size_t>(room, 1)));
}

void mutate_key(RawGguf& file, Random& random) {
  if (file.keys.empty() || chance(random, 3)) {
    file.keys.insert(file.keys.begin() + static_cast<std::ptrdiff_t>(below(random, file.keys.size() + 1)),
                     make_key(random));
    return;
  }
  const std::size_t i = below(random, file.keys.size());
  RawGguf::Key& key = file.keys[i];
  switch (below(random, 6)) {
    case 0:
      file.keys.erase(file.keys.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    case 1:
      file.keys.push_back(RawGguf::Key(key));
      break;
    case 2:
      mutate_text(key.name, random);
      break;
    case 3:
      mutate_text(key.value, random);
      break;
    case 4:
      key.type = static_cast<std::uint32_t>(below(random, 15));
      break;
    default:
      key.value = make_value(random, key.type);
      break;
  }
}

void mutate_tensor(RawGguf& file, Random& random) {
  if (file.tensors.empty() || chance(random, 3)) {
    file.tensors.push_back(make_tensor(random));
    return;
  }
  const std::size_t i = below(random, file.tensors.size());
  RawGguf::Tensor& tensor = file.tensors[i];
  switch (below(random, 8)) {
    case 0:
      file.tensors.erase(file.tensors.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    case 1:
      file.tensors.push_back(RawGguf::Tensor(tensor));
      break;
    case 2:
      mutate_text(tensor.name, random);
      break;
    case 3:
      tensor.type = static_cast<std::uint32_t>(below(random, 45));
      break;
    case 4:
      tensor.offset += any(random, kOddNumbers);
      break;
    case 5:
      tensor.rank_lie = static_cast<std::int32_t>(below(random, 7)) - 3;
      break;
    case 6:
      tensor.extents.push_back(1 + below(random, 4));
      break;
    default:
      if (!tensor.extents.empty())
        tensor.extents[below(random, tensor.extents.size())] = any(random, kOddNumbers);
      break;
  }
}

void mutate(RawGguf& file, Random& random) {
  switch (below(random, 12)) {
    case 0:
      file.version = static_cast<std::uint32_t>(below(random, 5));
      break;
    case 1:
      file.tensors_lie = any(random, kOddNumbers);
      break;
    case 2:
      file.keys_lie = any(random, kOddNumbers);
      break;
    case 3:
      file.alignment = std::uint64_t{1} << below(random, 8);
      break;
    case 4:
      mutate_text(file.data, random);
      break;
    case 5:
    case 6:
    case 7:
    case 8:
      mutate_tensor(file, random);
      break;
    default:
      mutate_key(file, random);
      break;
  }
  if (!chance(random, 6)) file.repair();
}

}  // namespace
}  // namespace medlar::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace medlar;
  const auto file = std::as_bytes(std::span(data, size));
  try {
    fuzz::check(gguf::parse(file, "input"), file);
  } catch (const Error& e) {
    fuzz::require(std::string_view(e.what()).starts_with("input: "));
  }
  return 0;
}

// Most mutations act on the parts of a file; the rest on plain bytes.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  using namespace medlar::fuzz;
  Random random(seed);
  if (chance(random, 8)) return LLVMFuzzerMutate(data, size, max_size);
  auto file = RawGguf::read({reinterpret_cast<const char*>(data), size});
  if (!file || chance(random, 200)) file = RawGguf::make(random);
  for (std::uint64_t n = 1 + below(random, 3); n > 0; --n) mutate(*file, random);
  const std::string out = file->write();
  const std::size_t length = std::min(out.size(), max_size);
  std::copy_n(out.data(), length, reinterpret_cast<char*>(data));
  return length;
}
