// Writing GGUF files: metadata, a directory of tensors, then their data as a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/atomic_file.h"
#include "checkpoint/gguf_metadata.h"
#include "checkpoint/gguf_types.h"
#include "tensor/tensor.h"

namespace medlar::gguf {

struct WriterOptions {
  std::uint32_t alignment = kDefaultAlignment;  // bytes, of tensor data; a power of two
};

// Writes a version 3 file that appears under its name when finish() returns, and not before. Order of calls:
// metadata and add_tensor() as wanted; then write() with all data in the order of the tensors; then finish().
// Throws Error: usage for a call out of order, a bad name or a wrong size; no_space and io as AtomicFile
// does.
class Writer {
 public:
  explicit Writer(std::filesystem::path path, WriterOptions options = {});

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

  // An entry of another file, of whatever type, as it stands there.
  void copy(const Entry& entry);
  // Every entry except those that describe the other file's layout: general.alignment and split.*.
  void copy(const Metadata& metadata);

  // Announces a tensor; its extents are positive and its rows whole blocks.
  void add_tensor(std::string_view name, DType type, const Shape& shape);

  // The next bytes of tensor data. Pieces may be of any size but end where a tensor ends; padding is added
  // here.
  void write(std::span<const std::byte> bytes);

  // After the last byte of the last tensor.
  void finish();
  // Instead of all data: the tensors are a hole in the file, which takes no room on the disk and reads as
  // zeros. For models that are only planned.
  void finish_with_hole();

 private:
  struct Value {
    ValueType type = ValueType::u8;
    std::vector<std::byte> bytes = {};
  };
  struct Listed {
    std::string name;
    DType type = DType::f32;
    Shape shape;
    std::uint64_t bytes = 0;
  };

  static void append_bytes(std::vector<std::byte>& to, const void* from, std::size_t bytes);
  template <class T>
  static void append(std::vector<std::byte>& to, const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
      append_bytes(to, &value, sizeof value);
    } else {
      const std::string_view text = value;
      append(to, static_cast<std::uint64_t>(text.size()));
      append_bytes(to, text.data(), text.size());
    }
  }

  void put(std::string_view key, Value value);
  std::vector<std::byte> directory() const;
  void begin_data();
  void next_tensor();

  std::uint32_t alignment_;
  AtomicFile file_;
  std::vector<std::string> keys_;  // in order
  std::map<std::string, Value, std::less<>> values_;
  std::vector<Listed> tensors_;
  std::set<std::string, std::less<>> names_;  // of tensors_
  bool in_data_ = false;
  std::size_t current_ = 0;  // tensor being written
  std::uint64_t left_ = 0;   // its bytes still to come
};

}  // namespace medlar::gguf
