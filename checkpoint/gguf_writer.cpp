// The writer: the directory is laid out in memory, tensor data goes straight through.
#include "checkpoint/gguf_writer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <ranges>
#include <system_error>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"
#include "base/posix.h"
#include "checkpoint/tensor_type.h"

namespace medlar::gguf {
Writer::Writer(std::filesystem::path path, WriterOptions options)
    : alignment_(options.alignment), file_(std::move(path)) {
  if (!std::has_single_bit(alignment_) || alignment_ < kMinAlignment || alignment_ > kMaxAlignment)
    fail(ErrorKind::usage, "an alignment of {} bytes is not a power of two from {} to {}", alignment_,
         kMinAlignment, kMaxAlignment);
  if (alignment_ != kDefaultAlignment) values_.set(kAlignmentKey, alignment_);
}

void Writer::check_key(std::string_view key) const {
  if (in_data_) fail(ErrorKind::usage, "key {}: metadata comes before tensor data", printable(key));
  if (key == kAlignmentKey) fail(ErrorKind::usage, "key {}: is set by the writer's options", key);
}

void Writer::copy(const Entry& entry) {
  check_key(entry.key);
  values_.copy(entry);
}

void Writer::copy(const Metadata& metadata) {
  for (const Entry& entry : metadata.entries())
    if (entry.key != kAlignmentKey && !entry.key.starts_with("split.")) copy(entry);
}

void Writer::add_tensor(std::string_view name, DType type, const Shape& shape) {
  if (in_data_) fail(ErrorKind::usage, "tensor {}: all tensors come before tensor data", printable(name));
  check_name("tensor", name, kMaxTensorNameBytes);
  if (!names_.emplace(name).second) fail(ErrorKind::usage, "tensor {}: comes twice", name);
  if (shape.rank() < 1 || std::ranges::any_of(shape.dims(), [](std::int64_t extent) { return extent < 1; }))
    fail(ErrorKind::usage, "tensor {}: its extents are not all positive", name);
  tensors_.push_back(
      {.name = std::string(name), .type = type, .shape = shape, .bytes = tensor_bytes(type, shape, name)});
}

std::vector<std::byte> Writer::directory() const {
  std::vector<std::byte> out;
  append_bytes(out, kMagic.data(), kMagic.size());
  append(out, kVersion);
  append(out, static_cast<std::uint64_t>(tensors_.size()));
  append(out, static_cast<std::uint64_t>(values_.size()));
  for (const Entry& entry : values_.entries()) {
    append(out, entry.key);
    append(out, static_cast<std::uint32_t>(entry.type));
    append_bytes(out, entry.value.data(), entry.value.size());
  }
  std::uint64_t offset = 0;
  for (const Listed& tensor : tensors_) {
    append(out, tensor.name);
    append(out, static_cast<std::uint32_t>(tensor.shape.rank()));
    for (std::int64_t extent : tensor.shape.dims() | std::views::reverse)
      append(out, static_cast<std::uint64_t>(extent));
    append(out, static_cast<std::uint32_t>(tensor.type));
    append(out, offset);
    const std::uint64_t end = checked_add(offset, tensor.bytes, tensor.name);
    offset = checked_align_up<std::uint64_t>(end, alignment_, tensor.name);
  }
  out.resize(checked_align_up<std::size_t>(out.size(), alignment_, "directory"));
  return out;
}

void Writer::begin_data() {
  if (in_data_) return;
  file_.write(directory());
  in_data_ = true;
  if (!tensors_.empty()) left_ = tensors_.front().bytes;
}

// The current tensor is complete: pads it and goes on to the next.
void Writer::next_tensor() {
  static constexpr std::array<std::byte, kMaxAlignment> kZeros{};
  const std::uint64_t aligned = checked_align_up<std::uint64_t>(file_.size(), alignment_, "file");
  file_.write(std::span(kZeros).first(static_cast<std::size_t>(aligned - file_.size())));
  ++current_;
  left_ = current_ < tensors_.size() ? tensors_[current_].bytes : 0;
}

void Writer::write(std::span<const std::byte> bytes) {
  begin_data();
  if (bytes.empty()) return;
  if (current_ == tensors_.size())
    fail(ErrorKind::usage, "more data than the {} tensors have", tensors_.size());
  if (bytes.size() > left_)
    fail(ErrorKind::usage, "tensor {}: {} bytes given, but {} are left", tensors_[current_].name,
         bytes.size(), left_);
  file_.write(bytes);
  left_ -= bytes.size();
  if (left_ == 0) next_tensor();
}

void Writer::finish() {
  begin_data();
  if (current_ != tensors_.size())
    fail(ErrorKind::usage, "tensor {}: {} bytes are missing", tensors_[current_].name, left_);
  file_.commit();
}

void Writer::finish_with_hole() {
  if (in_data_) fail(ErrorKind::usage, "tensor data was written already");
  begin_data();
  std::uint64_t size = file_.size();
  for (const Listed& tensor : tensors_)
    size = checked_align_up<std::uint64_t>(checked_add(size, tensor.bytes, tensor.name), alignment_,
                                           tensor.name);
  file_.commit();
  std::error_code error;
  std::filesystem::resize_file(file_.target(), size, error);
  if (error) fail_errno(file_.target(), "extend", error.value());
}

}  // namespace medlar::gguf
