// GGUF model files: parsing a directory of metadata and tensors, and opening a model of one or several files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "checkpoint/gguf_metadata.h"
#include "tensor/tensor.h"

namespace medlar::gguf {

// A tensor by name; both parts are views into the file.
struct Tensor {
  std::string_view name;
  TensorView view;
};

struct Contents {
  std::uint32_t version = 0;
  std::uint32_t alignment = 0;    // bytes; of tensors within the data section
  std::uint64_t data_offset = 0;  // bytes from the start of the file to the data section
  Metadata metadata;
  std::vector<Tensor> tensors;  // in file order, names unique, data in bounds and without holes
};

// Reads the directory of a GGUF file of version 2 or 3. `source` names it in errors. The result views `file`.
// Nothing is allocated before the bytes that justify it have been seen. Throws Error: bad_file for whatever
// breaks the rules of docs/gguf.md; unsupported for other versions and for tensor types that Medlar cannot
// run.
Contents parse(std::span<const std::byte> file, std::string_view source);

// "NAME-00002-of-00003.gguf", the name of one part of a split model.
struct SplitName {
  std::string stem;         // NAME
  std::uint32_t part = 0;   // from 1
  std::uint32_t count = 0;  // parts in all

  // Nothing when `file_name` is not of that form; a name with a folder in it never is.
  static std::optional<SplitName> parse(std::string_view file_name);
  // The name of another part of the same model.
  std::string file_name(std::uint32_t part) const;
};

// What a model consists of that was put together from other files than GGUF's.
struct Assembly {
  std::vector<MappedFile> parts;
  Metadata metadata;
  std::vector<Tensor> tensors;
  std::shared_ptr<const void> memory;  // what metadata and tensors view beside the parts
  std::uint64_t memory_bytes = 0;      // that it takes
};

// An open model: its mapped files and what they hold. Move-only; views stay valid when it moves.
class File {
 public:
  // Opens a model; given any part of a split one, also the others beside it. Throws as parse() and MappedFile
  // do, and Error(bad_file) when parts do not belong together.
  static File open(const std::filesystem::path& path);
  // Opens exactly these files, all parts in order, whatever their names.
  static File open(std::span<const std::filesystem::path> parts);
  // Throws Error(bad_file) when a tensor comes twice.
  explicit File(Assembly assembly);

  // The path of the first part, made printable, for messages.
  const std::string& name() const { return metadata_.source(); }

  // Of the first part.
  const Metadata& metadata() const { return metadata_; }

  // Of all parts: in part order, then in file order.
  std::span<const Tensor> tensors() const { return tensors_; }

  // Null when there is no such tensor. O(log tensors).
  const TensorView* find_tensor(std::string_view name) const;
  // Throws Error(bad_file) when there is no such tensor.
  const TensorView& tensor(std::string_view name) const;

  std::span<const MappedFile> parts() const { return parts_; }
  // Of metadata and tensors that are no pages of the parts.
  std::uint64_t memory_bytes() const { return memory_bytes_; }

  // Throws Error(io) when a part lost pages that were read: what was computed since opening may be wrong.
  void check() const;
  // A part was overwritten in place since opening.
  bool changed() const;
  // As MappedFile::advise(), for bytes of any tensor.
  void advise(std::span<const std::byte> bytes, Advice advice) const noexcept;

 private:
  struct Part;
  explicit File(std::vector<Part> parts);
  void index();

  std::vector<MappedFile> parts_;
  std::shared_ptr<const void> memory_;
  std::uint64_t memory_bytes_ = 0;
  Metadata metadata_;
  std::vector<Tensor> tensors_;
  std::vector<std::uint32_t> by_name_;  // tensors_ in order of their names
};

}  // namespace medlar::gguf
