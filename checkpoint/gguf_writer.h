// Writing GGUF files: metadata, a directory of tensors, then their data as a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "checkpoint/gguf_metadata.h"
#include "checkpoint/gguf_types.h"
#include "checkpoint/gguf_values.h"
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

  // As Values does.
  template <class T>
  void set(std::string_view key, const T& value) {
    check_key(key);
    values_.set(key, value);
  }
  template <class T>
  void set_array(std::string_view key, std::span<const T> values) {
    check_key(key);
    values_.set_array(key, values);
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
  struct Listed {
    std::string name;
    DType type = DType::f32;
    Shape shape;
    std::uint64_t bytes = 0;
  };

  // Throws Error(usage) where it is too late for a key, or the key is not the caller's to set.
  void check_key(std::string_view key) const;
  std::vector<std::byte> directory() const;
  void begin_data();
  void next_tensor();

  std::uint32_t alignment_;
  AtomicFile file_;
  Values values_;
  std::vector<Listed> tensors_;
  std::set<std::string, std::less<>> names_;  // of tensors_
  bool in_data_ = false;
  std::size_t current_ = 0;  // tensor being written
  std::uint64_t left_ = 0;   // its bytes still to come
};

}  // namespace medlar::gguf
