// GGUF metadata: typed access by key, over bytes that stay in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "checkpoint/gguf_types.h"

namespace medlar::gguf {

// One key and its value as they stand in the file.
struct Entry {
  std::string_view key;
  ValueType type = ValueType::u8;
  std::span<const std::byte> value;  // what follows the type number; an array begins with its own header
};

// For an array: the type of its elements and how many there are.
struct ArrayHeader {
  ValueType element = ValueType::u8;
  std::uint64_t count = 0;
};
ArrayHeader array_header(const Entry& entry);

// An array of strings, walked in place: opening a vocabulary copies nothing. Each step reads a length from
// the file again, so iteration throws Error(io) if the file was overwritten meanwhile.
class Strings {
 public:
  class iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string_view*;
    using reference = std::string_view;

    iterator() = default;
    std::string_view operator*() const { return current_; }
    iterator& operator++();
    iterator operator++(int) {
      iterator old = *this;
      ++*this;
      return old;
    }
    friend bool operator==(const iterator& a, const iterator& b) { return a.left_ == b.left_; }

   private:
    friend class Strings;
    iterator(std::span<const std::byte> bytes, std::uint64_t left);
    void read();

    std::span<const std::byte> bytes_;  // after the current string
    std::uint64_t left_ = 0;            // strings from the current one on
    std::string_view current_;
  };

  Strings() = default;
  Strings(std::span<const std::byte> bytes, std::uint64_t count) : bytes_(bytes), count_(count) {}

  std::uint64_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  iterator begin() const { return {bytes_, count_}; }
  iterator end() const { return {}; }

 private:
  std::span<const std::byte> bytes_;
  std::uint64_t count_ = 0;
};

// All entries of one file, in file order. Copies are views into the file, which must stay mapped.
//
// T is bool, an integer of <cstdint>, float, double, std::string_view, std::string, Strings, or a std::vector
// of the first four or of std::string_view. Integers convert between widths when the value is exactly
// representable, and so do floats as far as their range goes; nothing else converts. Whatever is wrong is an
// Error(bad_file) that names the file and the key, as in "m.gguf: key llama.block_count: expected u32, found
// string".
class Metadata {
 public:
  Metadata() = default;
  // `source` names the file in errors and is printable. Throws Error(bad_file) when a key comes twice.
  Metadata(std::string source, std::vector<Entry> entries);

  std::span<const Entry> entries() const { return entries_; }
  const std::string& source() const { return source_; }

  // Null when there is no such key. O(log keys).
  const Entry* entry(std::string_view key) const;
  bool contains(std::string_view key) const { return entry(key) != nullptr; }

  template <class T>
  std::optional<T> find(std::string_view key) const {
    const Entry* e = entry(key);
    return e ? std::optional<T>(decode<T>(*e)) : std::nullopt;
  }

  template <class T>
  T get(std::string_view key) const {
    return decode<T>(require(key));
  }

  template <class T>
  T get_or(std::string_view key, T fallback) const {
    const Entry* e = entry(key);
    return e ? decode<T>(*e) : std::move(fallback);
  }

  // A number, or the largest of an array of them.
  std::int64_t largest(std::string_view key) const;

  // One value a layer: an array of exactly `layers` elements, or one number that holds for all of them.
  template <class T>
  std::vector<T> per_layer(std::string_view key, std::size_t layers) const {
    const Entry& e = require(key);
    if (e.type != ValueType::array) return std::vector<T>(layers, decode<T>(e));
    const std::uint64_t count = array_header(e).count;
    if (count != layers) reject(e, fmt::format("{} elements, expected {}", count, layers));
    return decode<std::vector<T>>(e);
  }

 private:
  const Entry& require(std::string_view key) const;
  [[noreturn]] void reject(const Entry& entry, std::string_view message) const;
  template <class T>
  T decode(const Entry& entry) const;
  template <class T>
  std::vector<T> decode_array(const Entry& entry) const;
  template <class T>
  T number(const Entry& entry, ValueType type, const std::byte* at) const;

  std::string source_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> by_key_;  // entries_ in order of their keys
};

}  // namespace medlar::gguf
