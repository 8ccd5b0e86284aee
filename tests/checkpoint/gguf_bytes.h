// Building GGUF files byte by byte, well formed or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "checkpoint/gguf_types.h"

namespace medlar::gguf {

// Bytes in the order they are appended; numbers in little-endian order.
class Bytes {
 public:
  template <class T>
    requires std::is_arithmetic_v<T>
  Bytes& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Bytes& raw(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  Bytes& string(std::string_view text) { return number<std::uint64_t>(text.size()).raw(text); }
  Bytes& type(ValueType type) { return number(static_cast<std::uint32_t>(type)); }

  Bytes& header(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = kVersion) {
    return raw(kMagic).number(version).number(tensors).number(keys);
  }
  // A key with a number of T's own type.
  template <class T>
  Bytes& key(std::string_view name, T value) {
    return string(name).type(type_of<T>()).number(value);
  }
  Bytes& key_string(std::string_view name, std::string_view text) {
    return string(name).type(ValueType::string).string(text);
  }
  template <class T>
  Bytes& key_array(std::string_view name, std::initializer_list<T> values) {
    string(name).type(ValueType::array).type(type_of<T>()).template number<std::uint64_t>(values.size());
    for (T value : values) number(value);
    return *this;
  }
  Bytes& key_strings(std::string_view name, std::initializer_list<std::string_view> values) {
    string(name).type(ValueType::array).type(ValueType::string).number<std::uint64_t>(values.size());
    for (std::string_view value : values) string(value);
    return *this;
  }
  // `extents` innermost first, as in the file; `type` is a tensor type's number.
  Bytes& tensor(std::string_view name, std::initializer_list<std::uint64_t> extents, std::uint32_t type,
                std::uint64_t offset) {
    string(name).number(static_cast<std::uint32_t>(extents.size()));
    for (std::uint64_t extent : extents) number(extent);
    return number(type).number(offset);
  }
  Bytes& pad(std::size_t alignment = kDefaultAlignment) {
    while (bytes_.size() % alignment != 0) bytes_ += '\0';
    return *this;
  }
  Bytes& zeros(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }

  std::span<const std::byte> span() const { return std::as_bytes(std::span(bytes_)); }
  std::string_view text() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace medlar::gguf
