// From the bytes of one GGUF file to its directory. The rules are those of docs/gguf.md.
#include <array>
#include <bit>
#include <limits>

#include "base/checked.h"
#include "base/log.h"
#include "checkpoint/byte_reader.h"
#include "checkpoint/gguf.h"
#include "checkpoint/name_index.h"
#include "checkpoint/tensor_type.h"

namespace medlar::gguf {
namespace {

constexpr std::uint64_t kMinStringBytes = 8;                      // its length
constexpr std::uint64_t kMinArrayBytes = 4 + 8;                   // element type, count
constexpr std::uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;           // key, type, value
constexpr std::uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;  // name, rank, one extent, type, offset

// What people mistake for a GGUF file.
struct OtherFormat {
  std::string_view prefix, name;
};
constexpr OtherFormat kOtherFormats[] = {
    {"version https://git-lfs", "a Git LFS pointer, not the file itself"},
    {"<", "a web page, not a model"},
    {"{", "a JSON text, not a model"},
    {"PK\x03\x04", "a zip archive (a PyTorch checkpoint?)"},
    {"\x1f\x8b", "compressed with gzip"},
    {"lmgg", "a GGML file, from before GGUF"},
    {"tjgg", "a GGJT file, from before GGUF"},
    {"fmgg", "a GGMF file, from before GGUF"},
    {"algg", "a GGLA adapter, from before GGUF"},
};

[[noreturn]] void reject_magic(std::span<const std::byte> file, std::string_view source) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()),
                              std::min<std::size_t>(file.size(), 64));
  std::string what = file.empty() ? "empty" : "not a GGUF file";
  for (const OtherFormat& other : kOtherFormats)
    if (text.starts_with(other.prefix)) what = other.name;
  if (text.size() > 9 && text.substr(8, 2) == "{\"")
    what = "a safetensors file";  // 8 bytes of length, then JSON
  throw Error(ErrorKind::bad_file, fmt::format("{}: is {}", source, what),
              "give a model in GGUF format, or download it again");
}

// Leaves the reader after the version.
std::uint32_t read_version(ByteReader& reader, std::string_view source) {
  const auto file = reader.rest();
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (!text.starts_with(kMagic)) reject_magic(file, source);
  reader.take(kMagic.size());
  const auto version = reader.number<std::uint32_t>();
  if (version == 2 || version == kVersion) return version;

  std::string found = fmt::format("GGUF version {}", version);
  std::string_view hint = "the file is damaged: download it again";
  if (version == 1) {
    hint = "convert the model again with a current converter: version 1 was replaced in 2023";
  } else if ((version & 0xffff) == 0 && version != 0) {
    found = fmt::format("GGUF version {} in big-endian byte order", std::byteswap(version));
    hint = "convert it with gguf-convert-endian from the Python package gguf";
  } else if (version > kVersion) {
    hint = "update Medlar, or convert the model to version 3";
  }
  throw Error(ErrorKind::unsupported, fmt::format("{}: {} cannot be read; 2 and 3 can", source, found),
              std::string(hint));
}

// A count that the rest of the file could hold.
std::size_t read_count(ByteReader& reader, std::string_view what, std::uint64_t most,
                       std::uint64_t min_bytes) {
  const auto count = reader.number<std::uint64_t>();
  if (count > reader.remaining() / min_bytes)
    reader.reject("{} {} do not fit into the remaining {} bytes", count, what, reader.remaining());
  if (count > most) reader.reject("{} {}, but at most {} are allowed", count, what, most);
  return static_cast<std::size_t>(count);
}

// Names are text that can be shown as it is: no control characters, no broken UTF-8.
void check_name(const ByteReader& reader, std::string_view name, std::uint64_t most_bytes) {
  if (name.empty()) reader.reject("has an empty name");
  if (name.size() > most_bytes)
    reader.reject("its name has {} bytes, at most {} are allowed", name.size(), most_bytes);
  if (printable(name, name.size()) != name) reader.reject("its name has unprintable characters");
}

ValueType read_value_type(ByteReader& reader) {
  const auto number = reader.number<std::uint32_t>();
  if (number >= kValueTypes) reader.reject("value type {} does not exist", number);
  return static_cast<ValueType>(number);
}

void check_booleans(const ByteReader& reader, std::span<const std::byte> values) {
  for (std::byte b : values)
    if (b > std::byte{1}) reader.reject("{} is no bool", static_cast<int>(b));
}

// Steps over one value. `depth` counts the arrays around it.
void skip_value(ByteReader& reader, ValueType type, int depth) {
  if (type == ValueType::string) {
    reader.string();
  } else if (type != ValueType::array) {
    const auto value = reader.take(type_bytes(type));
    if (type == ValueType::boolean) check_booleans(reader, value);
  } else {
    if (depth == kMaxArrayDepth) reader.reject("arrays nested more than {} deep", kMaxArrayDepth);
    const ValueType element = read_value_type(reader);
    const auto count = reader.number<std::uint64_t>();
    const std::uint64_t size = type_bytes(element);
    const std::uint64_t least = size > 0                       ? size
                                : element == ValueType::string ? kMinStringBytes
                                                               : kMinArrayBytes;
    if (count > reader.remaining() / least)
      reader.reject("an array of {} {}s does not fit into the remaining {} bytes", count, type_name(element),
                    reader.remaining());
    if (size > 0) {
      const auto values = reader.take(count * size);
      if (element == ValueType::boolean) check_booleans(reader, values);
    } else {
      for (std::uint64_t i = 0; i < count; ++i) skip_value(reader, element, depth + 1);
    }
  }
}

Entry read_entry(ByteReader& reader) {
  Entry entry;
  reader.about("a metadata key");
  entry.key = reader.string();
  reader.about("key", entry.key);
  check_name(reader, entry.key, kMaxKeyBytes);
  entry.type = read_value_type(reader);
  const auto from = reader.rest();
  skip_value(reader, entry.type, 0);
  entry.value = from.first(from.size() - reader.rest().size());
  return entry;
}

std::uint32_t read_alignment(const Metadata& metadata, std::string_view source) {
  const Entry* entry = metadata.entry(kAlignmentKey);
  if (!entry) return kDefaultAlignment;
  if (entry->type != ValueType::u32)
    fail(ErrorKind::bad_file, "{}: key {}: expected u32, found {}", source, kAlignmentKey,
         type_name(entry->type));
  const auto alignment = load<std::uint32_t>(entry->value.data());
  if (!std::has_single_bit(alignment) || alignment < kMinAlignment || alignment > kMaxAlignment)
    fail(ErrorKind::bad_file, "{}: key {}: {} is not a power of two from {} to {}", source, kAlignmentKey,
         alignment, kMinAlignment, kMaxAlignment);
  return alignment;
}

// GGUF lists extents innermost first; ours are outermost first.
Shape read_shape(ByteReader& reader) {
  const auto rank = reader.number<std::uint32_t>();
  if (rank < 1 || rank > kMaxDims) reader.reject("{} dimensions, 1 to {} are possible", rank, kMaxDims);
  std::array<std::int64_t, kMaxDims> dims{};
  std::int64_t elements = 1;
  for (std::uint32_t i = 0; i < rank; ++i) {
    const auto extent = reader.number<std::uint64_t>();
    if (extent == 0 || !std::in_range<std::int64_t>(extent))
      reader.reject("dimension {} is {}", i, static_cast<std::int64_t>(extent));
    dims[rank - 1 - i] = static_cast<std::int64_t>(extent);
    if (__builtin_mul_overflow(elements, dims[rank - 1 - i], &elements))
      reader.reject("has too many elements");
  }
  return Shape(std::span(dims).first(rank));
}

// Where tensor data goes: packed in directory order, each tensor aligned. Offsets count from the data
// section.
struct DataLayout {
  std::uint64_t alignment = kDefaultAlignment;
  std::uint64_t end = 0;  // past the last tensor so far, unpadded

  // The range of the next tensor: overlaps and holes cannot be expressed.
  std::uint64_t place(std::uint64_t bytes, std::string_view what) {
    const std::uint64_t offset = checked_align_up(end, alignment, what);
    end = checked_add(offset, bytes, what);
    return offset;
  }
};

Tensor read_tensor(ByteReader& reader, std::string_view source, DataLayout& layout) {
  Tensor tensor;
  reader.about("a tensor's name");
  tensor.name = reader.string();
  reader.about("tensor", tensor.name);
  check_name(reader, tensor.name, kMaxTensorNameBytes);
  tensor.view.shape = read_shape(reader);
  const std::string what = fmt::format("{}: tensor {}", source, tensor.name);
  tensor.view.type = tensor_type(reader.number<std::uint32_t>(), what);
  const auto offset = reader.number<std::uint64_t>();
  const std::uint64_t expected = layout.place(tensor_bytes(tensor.view.type, tensor.view.shape, what), what);
  if (offset != expected)
    reader.reject(
        "its data begins at offset {} of the data section, but must at {}: tensors lie one after "
        "another, aligned to {} bytes",
        offset, expected, layout.alignment);
  return tensor;
}

// Gives every tensor its bytes.
void locate(Contents& contents, std::span<const std::byte> file, std::string_view source) {
  const std::uint64_t room = file.size() - std::min<std::uint64_t>(contents.data_offset, file.size());
  DataLayout layout{.alignment = contents.alignment};
  for (Tensor& tensor : contents.tensors) {
    const std::uint64_t bytes = tensor_bytes(tensor.view.type, tensor.view.shape, tensor.name);
    const std::uint64_t offset = layout.place(bytes, tensor.name);
    if (layout.end > room)
      throw Error(ErrorKind::bad_file,
                  fmt::format("{}: tensor {}: its data ends {} bytes past the end of the file", source,
                              tensor.name, layout.end - room),
                  "the file is incomplete: download it again");
    tensor.view.bytes = file.subspan(static_cast<std::size_t>(contents.data_offset + offset),
                                     static_cast<std::size_t>(bytes));
  }
}

void check_unique(std::span<const Tensor> tensors, std::string_view source) {
  const auto order = sorted_by_name(tensors, &Tensor::name);
  if (const Tensor* twice = find_duplicate(tensors, std::span<const std::uint32_t>(order), &Tensor::name))
    fail(ErrorKind::bad_file, "{}: tensor {} comes twice", source, twice->name);
}

}  // namespace

Contents parse(std::span<const std::byte> file, std::string_view source) {
  const std::string shown = printable(source);
  ByteReader reader(file, shown);
  Contents contents;
  contents.version = read_version(reader, shown);
  const std::size_t tensors = read_count(reader, "tensors", kMaxTensors, kMinTensorBytes);
  const std::size_t keys = read_count(reader, "metadata keys", kMaxKeys, kMinEntryBytes);

  std::vector<Entry> entries;
  entries.reserve(keys);
  for (std::size_t i = 0; i < keys; ++i) entries.push_back(read_entry(reader));
  contents.metadata = Metadata(shown, std::move(entries));
  contents.alignment = read_alignment(contents.metadata, shown);

  reader.about("header");
  if (tensors > reader.remaining() / kMinTensorBytes)
    reader.reject("{} tensors do not fit into the remaining {} bytes", tensors, reader.remaining());
  contents.tensors.reserve(tensors);
  DataLayout layout{.alignment = contents.alignment};
  for (std::size_t i = 0; i < tensors; ++i) contents.tensors.push_back(read_tensor(reader, shown, layout));
  check_unique(contents.tensors, shown);
  contents.data_offset = checked_align_up<std::uint64_t>(reader.position(), contents.alignment, shown);
  locate(contents, file, shown);
  return contents;
}

}  // namespace medlar::gguf
