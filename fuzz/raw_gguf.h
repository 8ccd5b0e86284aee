// A GGUF file as loose parts that can be made, changed and written out, whether or not they make sense
// together.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/all.h"
#include "fuzz/random.h"

namespace medlar::fuzz {

// Appends little-endian numbers and length-prefixed strings.
template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
inline void put_string(std::string& out, std::string_view text) {
  put<std::uint64_t>(out, text.size());
  out += text;
}

// Takes from the front as long as there is something.
class Taker {
 public:
  explicit Taker(std::string_view bytes) : bytes_(bytes) {}
  template <class T>
  std::optional<T> number() {
    const auto raw = take(sizeof(T));
    if (!raw) return std::nullopt;
    T value;
    std::memcpy(&value, raw->data(), sizeof value);
    return value;
  }
  std::optional<std::string_view> take(std::uint64_t n) {
    if (n > bytes_.size()) return std::nullopt;
    const std::string_view taken = bytes_.substr(0, n);
    bytes_.remove_prefix(n);
    return taken;
  }
  std::optional<std::string_view> string() {
    const auto length = number<std::uint64_t>();
    return length ? take(*length) : std::nullopt;
  }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

struct RawGguf {
  struct Key {
    std::string name;
    std::uint32_t type = 0;
    std::string value;  // as in the file
  };
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> extents;  // innermost first
    std::uint32_t type = 0;
    std::uint64_t offset = 0;
    std::int32_t rank_lie = 0;  // added to the rank that is written
  };

  std::uint32_t version = 3;
  std::uint64_t tensors_lie = 0, keys_lie = 0;  // added to the counts that are written
  std::uint64_t alignment = 32;                 // of the data, whatever the metadata says
  std::vector<Key> keys;
  std::vector<Tensor> tensors;
  std::string data;

  static RawGguf make(Random& random);
  // What can be recognised of a file; nothing when not even the header can.
  static std::optional<RawGguf> read(std::string_view file);
  std::string write() const;

  // Gives tensors the offsets and the file the data that belong together.
  void repair();
};

// Bytes of a block and elements in it, by GGUF's number; {0, 1} for types that Medlar does not know.
struct BlockSize {
  std::uint64_t bytes = 0, elements = 1;
};
inline BlockSize block_size(std::uint32_t type) {
  const FormatInfo* info = formats::find_info(type);
  if (!info) return {};
  return {static_cast<std::uint64_t>(info->block_bytes), static_cast<std::uint64_t>(info->block_length)};
}

inline constexpr std::array<std::string_view, 13> kKeyNames = {"general.architecture",
                                                               "general.alignment",
                                                               "general.name",
                                                               "split.no",
                                                               "split.count",
                                                               "split.tensors.count",
                                                               "llama.block_count",
                                                               "llama.context_length",
                                                               "tokenizer.ggml.tokens",
                                                               "tokenizer.ggml.scores",
                                                               "m-00002-of-00003.gguf",
                                                               "a",
                                                               "b"};
inline constexpr std::array<std::uint64_t, 16> kOddNumbers = {0,
                                                              1,
                                                              2,
                                                              31,
                                                              32,
                                                              33,
                                                              255,
                                                              256,
                                                              65536,
                                                              0x7fffffff,
                                                              0x80000000,
                                                              0xffffffff,
                                                              0x7fffffffffffffff,
                                                              0x8000000000000000,
                                                              0xfffffffffffffff0,
                                                              0xffffffffffffffff};

inline std::size_t value_bytes(std::uint32_t type) {
  constexpr std::array<std::size_t, 13> kBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < kBytes.size() ? kBytes[type] : 0;
}

// A value of the given type, mostly well formed.
inline std::string make_value(Random& random, std::uint32_t type, int depth = 0) {
  std::string out;
  if (type == 8) {
    put_string(out, std::string(below(random, 12), static_cast<char>('a' + below(random, 26))));
  } else if (type == 9) {
    const auto element = static_cast<std::uint32_t>(below(random, depth < 3 ? 13 : 9));
    const std::uint64_t count = below(random, 6);
    put(out, element);
    put<std::uint64_t>(out, chance(random, 20) ? any(random, kOddNumbers) : count);
    for (std::uint64_t i = 0; i < count; ++i) out += make_value(random, element, depth + 1);
  } else {
    const std::uint64_t number = type == 7           ? below(random, 2)
                                 : chance(random, 2) ? below(random, 100)
                                                     : any(random, kOddNumbers);
    out.assign(reinterpret_cast<const char*>(&number), value_bytes(type));
  }
  return out;
}

inline RawGguf::Key make_key(Random& random) {
  RawGguf::Key key;
  key.name =
      chance(random, 3) ? std::string(any(random, kKeyNames)) : "key." + std::to_string(below(random, 1000));
  key.type = static_cast<std::uint32_t>(below(random, 13));
  if (key.name == "general.alignment" && !chance(random, 4)) {
    key.type = 4;
    put<std::uint32_t>(key.value, 1u << below(random, 10));
  } else {
    key.value = make_value(random, key.type);
  }
  return key;
}

inline RawGguf::Tensor make_tensor(Random& random) {
  RawGguf::Tensor tensor;
  tensor.name = "blk." + std::to_string(below(random, 100)) + ".weight";
  tensor.type = static_cast<std::uint32_t>(any(random, formats::all_infos()).type);
  tensor.extents.push_back(block_size(tensor.type).elements * (1 + below(random, 3)));
  while (tensor.extents.size() < 4 && chance(random, 2)) tensor.extents.push_back(1 + below(random, 4));
  return tensor;
}

inline RawGguf RawGguf::make(Random& random) {
  RawGguf file;
  for (std::uint64_t i = below(random, 8); i > 0; --i) file.keys.push_back(make_key(random));
  for (std::uint64_t i = below(random, 6); i > 0; --i) file.tensors.push_back(make_tensor(random));
  file.repair();
  return file;
}

// What the metadata says, or what holds without it.
inline std::uint64_t declared_alignment(const std::vector<RawGguf::Key>& keys) {
  std::uint64_t alignment = 32;
  for (const RawGguf::Key& key : keys) {
    const auto value = Taker(key.value).number<std::uint32_t>();
    if (key.name == "general.alignment" && key.type == 4 && value && *value > 0 && *value <= 65536)
      alignment = *value;
  }
  return alignment;
}

inline void RawGguf::repair() {
  alignment = declared_alignment(keys);
  std::uint64_t end = 0;
  for (Tensor& tensor : tensors) {
    tensor.offset = (end + alignment - 1) / alignment * alignment;
    std::uint64_t elements = 1;
    for (std::uint64_t extent : tensor.extents) elements *= std::min<std::uint64_t>(extent, 1 << 12);
    const BlockSize block = block_size(tensor.type);
    end = tensor.offset + elements / block.elements * block.bytes;
  }
  data.assign(std::min<std::uint64_t>(end, 1 << 16), 'd');
}

// Steps over a value and returns its bytes.
inline std::optional<std::string_view> take_value(Taker& taker, std::uint32_t type, int depth = 0) {
  const std::string_view from = taker.rest();
  if (type == 8) {
    if (!taker.string()) return std::nullopt;
  } else if (type == 9) {
    const auto element = taker.number<std::uint32_t>();
    const auto count = taker.number<std::uint64_t>();
    if (!element || !count || *count > taker.rest().size() || depth > 8) return std::nullopt;
    for (std::uint64_t i = 0; i < *count; ++i)
      if (!take_value(taker, *element, depth + 1)) return std::nullopt;
  } else if (!taker.take(value_bytes(type))) {
    return std::nullopt;
  }
  return from.substr(0, from.size() - taker.rest().size());
}

inline std::optional<RawGguf> RawGguf::read(std::string_view bytes) {
  Taker taker(bytes);
  RawGguf file;
  const auto magic = taker.take(4);
  const auto version = taker.number<std::uint32_t>();
  const auto tensor_count = taker.number<std::uint64_t>(), key_count = taker.number<std::uint64_t>();
  if (magic != "GGUF" || !version || !tensor_count || !key_count) return std::nullopt;
  file.version = *version;
  while (file.keys.size() < *key_count) {
    const auto name = taker.string();
    const auto type = taker.number<std::uint32_t>();
    if (!name || !type) break;
    const auto value = take_value(taker, *type);
    if (!value) break;
    file.keys.push_back({std::string(*name), *type, std::string(*value)});
  }
  while (file.tensors.size() < *tensor_count) {
    const auto name = taker.string();
    const auto rank = taker.number<std::uint32_t>();
    if (!name || !rank || *rank > 8) break;
    Tensor tensor{.name = std::string(*name)};
    for (std::uint32_t i = 0; i < *rank; ++i)
      tensor.extents.push_back(taker.number<std::uint64_t>().value_or(1));
    const auto type = taker.number<std::uint32_t>();
    const auto offset = taker.number<std::uint64_t>();
    if (!type || !offset) break;
    tensor.type = *type;
    tensor.offset = *offset;
    file.tensors.push_back(std::move(tensor));
  }
  file.keys_lie = *key_count - file.keys.size();
  file.tensors_lie = *tensor_count - file.tensors.size();
  file.alignment = declared_alignment(file.keys);
  const std::uint64_t at = bytes.size() - taker.rest().size();
  taker.take((file.alignment - at % file.alignment) % file.alignment);
  file.data = taker.rest();
  return file;
}

inline std::string RawGguf::write() const {
  std::string out = "GGUF";
  put(out, version);
  put<std::uint64_t>(out, tensors.size() + tensors_lie);
  put<std::uint64_t>(out, keys.size() + keys_lie);
  for (const Key& key : keys) {
    put_string(out, key.name);
    put(out, key.type);
    out += key.value;
  }
  for (const Tensor& tensor : tensors) {
    put_string(out, tensor.name);
    put(out, static_cast<std::uint32_t>(tensor.extents.size()) + static_cast<std::uint32_t>(tensor.rank_lie));
    for (std::uint64_t extent : tensor.extents) put(out, extent);
    put(out, tensor.type);
    put(out, tensor.offset);
  }
  out.append((alignment - out.size() % alignment) % alignment, '\0');
  return out + data;
}

}  // namespace medlar::fuzz
