// GGUF keys and their values, encoded as a file holds them: what a writer writes, and metadata of a model
// that never was a GGUF file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "checkpoint/gguf_metadata.h"
#include "checkpoint/gguf_types.h"

namespace medlar::gguf {

// Appends T as it stands in a file: a number's bytes; text with its length in front.
void append_bytes(std::vector<std::byte>& to, const void* from, std::size_t bytes);
template <class T>
void append(std::vector<std::byte>& to, const T& value) {
  if constexpr (std::is_arithmetic_v<T>) {
    append_bytes(to, &value, sizeof value);
  } else {
    const std::string_view text = value;
    append(to, static_cast<std::uint64_t>(text.size()));
    append_bytes(to, text.data(), text.size());
  }
}

// In the order of their first setting. A key is 1 to 65,535 bytes of printable text; else Error(usage).
class Values {
 public:
  // T is bool, an integer, float, double, or text. A key set again takes the new value in its old place.
  template <class T>
  void set(std::string_view key, const T& value) {
    Value encoded{.type = type_of<T>()};
    append(encoded.bytes, value);
    put(key, std::move(encoded));
  }
  template <class T>
  void set_array(std::string_view key, std::span<const T> values) {
    Value encoded{.type = ValueType::array};
    append(encoded.bytes, static_cast<std::uint32_t>(type_of<T>()));
    append(encoded.bytes, static_cast<std::uint64_t>(values.size()));
    for (const T& value : values) append(encoded.bytes, value);
    put(key, std::move(encoded));
  }
  void copy(const Entry& entry);

  // Views, which setting a key again ends for that key.
  std::vector<Entry> entries() const;
  std::size_t size() const { return keys_.size(); }
  std::uint64_t bytes() const;  // of all values

 private:
  struct Value {
    ValueType type = ValueType::u8;
    std::vector<std::byte> bytes = {};
  };
  void put(std::string_view key, Value value);

  std::vector<std::string_view> keys_;  // of values_, in order
  std::map<std::string, Value, std::less<>> values_;
};

// Throws Error(usage) "WHAT NAME: ..." when a name is empty, too long or not printable.
void check_name(std::string_view what, std::string_view name, std::uint64_t most_bytes);

}  // namespace medlar::gguf
