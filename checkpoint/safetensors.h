// Safetensors: parsing one file's header, and opening a file or a folder of shards. Layout:
// docs/safetensors.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "formats/dtype.h"

namespace medlar::safetensors {

inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // as the format's own library has it
inline constexpr std::size_t kMaxRank = 8;

// Element types, by the names that files use.
enum class Type : std::uint8_t {
  boolean,
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  u64,
  i64,
  f4,
  f6_e2m3,
  f6_e3m2,
  f8_e4m3,
  f8_e5m2,
  f8_e8m0,
  f16,
  bf16,
  f32,
  f64,
  c64,
};

// "BF16", ...
std::string_view type_name(Type type);
// The weight format with the same elements: f32, f16 or bf16; nothing for all others.
std::optional<DType> weight_format(Type type);

// A tensor by name; its bytes are a view into the file.
struct Tensor {
  std::string name;
  Type type = Type::f32;
  std::vector<std::int64_t> shape;  // outermost first; empty: one element
  std::span<const std::byte> bytes;
};

// The tensors of one file in the order of their data, which they cover without overlap or hole. `source`
// names the file in errors. Takes memory in proportion to the header. Throws Error(bad_file) for whatever
// breaks the rules of docs/safetensors.md.
std::vector<Tensor> parse(std::span<const std::byte> file, std::string_view source);

// The mapped files of one model. Move-only; views stay valid when it moves.
class Files {
 public:
  // A file; or a folder with model.safetensors.index.json and the shards it names, or with
  // model.safetensors. Throws as parse() and MappedFile do; Error(bad_file) also when the index and its
  // shards disagree, a shard's name leads out of the folder, or a tensor comes twice; Error(not_found) for
  // a shard or a folder's files that are missing.
  static Files open(const std::filesystem::path& path);

  // By name.
  std::span<const Tensor> tensors() const { return tensors_; }
  // Null when there is no such tensor. O(log tensors).
  const Tensor* find(std::string_view name) const;

  // The files, which whoever keeps the tensors' bytes takes over.
  std::vector<MappedFile> release() && { return std::move(files_); }
  std::span<const MappedFile> files() const { return files_; }

 private:
  void add(const std::filesystem::path& path);
  void sort(std::string_view source);

  std::vector<MappedFile> files_;
  std::vector<Tensor> tensors_;  // sorted by name
};

// Whether a folder holds a model in this format.
bool is_model_folder(const std::filesystem::path& folder);

}  // namespace medlar::safetensors
