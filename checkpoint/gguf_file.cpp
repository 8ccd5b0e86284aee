// A model on disk: one GGUF file, or the parts of a split one.
#include <algorithm>
#include <charconv>
#include <functional>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/gguf.h"
#include "checkpoint/name_index.h"

namespace medlar::gguf {
namespace {

constexpr std::string_view kSuffix = ".gguf";
constexpr std::size_t kDigits = 5;

// Exactly kDigits decimal digits.
std::optional<std::uint32_t> number(std::string_view digits) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<SplitName> SplitName::parse(std::string_view file_name) {
  constexpr std::string_view kOf = "-of-";
  constexpr std::size_t kTail = 1 + kDigits + kOf.size() + kDigits + kSuffix.size();  // -00001-of-00002.gguf
  if (file_name.size() <= kTail || file_name.find_first_of(std::string_view("/\\\0", 3)) != file_name.npos)
    return std::nullopt;
  const std::string_view stem = file_name.substr(0, file_name.size() - kTail);
  const std::string_view tail = file_name.substr(stem.size());
  const auto part = number(tail.substr(1, kDigits));
  const auto count = number(tail.substr(1 + kDigits + kOf.size(), kDigits));
  const bool fits =
      tail.starts_with('-') && tail.substr(1 + kDigits, kOf.size()) == kOf && tail.ends_with(kSuffix);
  if (!fits || !part || !count || *part < 1 || *part > *count) return std::nullopt;
  return SplitName{.stem = std::string(stem), .part = *part, .count = *count};
}

std::string SplitName::file_name(std::uint32_t which) const {
  return fmt::format("{}-{:05}-of-{:05}{}", stem, which, count, kSuffix);
}

struct File::Part {
  MappedFile file;
  Contents contents;

  explicit Part(const std::filesystem::path& path)
      : file(path), contents(gguf::parse(file.bytes(), path.native())) {}

  const Metadata& metadata() const { return contents.metadata; }
  const std::string& name() const { return metadata().source(); }
};

File File::open(const std::filesystem::path& path) {
  std::vector<Part> parts;
  Part given(path);
  const auto count = given.metadata().get_or<std::uint32_t>("split.count", 1);
  if (count <= 1) {
    parts.push_back(std::move(given));
    return File(std::move(parts));
  }

  const auto split = SplitName::parse(path.filename().native());
  if (!split || split->count != count)
    throw Error(
        ErrorKind::bad_file, fmt::format("{}: is one of {} parts, but is not named so", given.name(), count),
        fmt::format("give it back its name, which ends in -00001-of-{:05}.gguf for the first part", count));
  for (std::uint32_t i = 1; i <= count; ++i) {
    if (i == split->part) {
      parts.push_back(std::move(given));
      continue;
    }
    const std::filesystem::path beside = path.parent_path() / split->file_name(i);
    std::error_code ignored;
    if (!std::filesystem::exists(beside, ignored))
      throw Error(ErrorKind::not_found,
                  fmt::format("{}: part {} of {} is missing", printable(beside.native()), i, count),
                  "put all parts of the model into one folder");
    parts.emplace_back(beside);
  }
  return File(std::move(parts));
}

File File::open(std::span<const std::filesystem::path> paths) {
  std::vector<Part> parts;
  parts.reserve(paths.size());
  for (const std::filesystem::path& path : paths) parts.emplace_back(path);
  if (parts.empty()) fail(ErrorKind::usage, "a model has at least one file");
  return File(std::move(parts));
}

File::File(std::vector<Part> parts) {
  const std::size_t count = parts.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Metadata& metadata = parts[i].metadata();
    const auto number = metadata.get_or<std::uint32_t>("split.no", 0);
    const auto of = metadata.get_or<std::uint32_t>("split.count", 1);
    if (number != i || (of != count && !(of == 0 && count == 1)))
      fail(ErrorKind::bad_file, "{}: says it is part {} of {}, but was opened as part {} of {}",
           parts[i].name(), std::uint64_t{number} + 1, of, i + 1, count);
    tensors_.insert(tensors_.end(), parts[i].contents.tensors.begin(), parts[i].contents.tensors.end());
  }
  metadata_ = std::move(parts.front().contents.metadata);
  const auto total = metadata_.get_or<std::uint64_t>("split.tensors.count", tensors_.size());
  if (total != tensors_.size())
    fail(ErrorKind::bad_file, "{}: key split.tensors.count is {}, but the parts hold {} tensors", name(),
         total, tensors_.size());
  index();
  for (Part& part : parts) parts_.push_back(std::move(part.file));
}

File::File(Assembly assembly)
    : parts_(std::move(assembly.parts)),
      memory_(std::move(assembly.memory)),
      memory_bytes_(assembly.memory_bytes),
      metadata_(std::move(assembly.metadata)),
      tensors_(std::move(assembly.tensors)) {
  index();
}

void File::index() {
  by_name_ = sorted_by_name(std::span<const Tensor>(tensors_), &Tensor::name);
  if (const Tensor* twice = find_duplicate(std::span<const Tensor>(tensors_), by_name_, &Tensor::name))
    fail(ErrorKind::bad_file, "{}: tensor {} comes twice", name(), twice->name);
}

const TensorView* File::find_tensor(std::string_view name) const {
  const Tensor* found = find_by_name(std::span<const Tensor>(tensors_), by_name_, &Tensor::name, name);
  return found ? &found->view : nullptr;
}

const TensorView& File::tensor(std::string_view wanted) const {
  if (const TensorView* found = find_tensor(wanted)) return *found;
  throw Error(ErrorKind::bad_file, fmt::format("{}: tensor {} is missing", name(), printable(wanted)),
              "the file is incomplete, or made for another program: convert the model again");
}

void File::check() const {
  for (const MappedFile& part : parts_) part.check();
}

bool File::changed() const {
  return std::ranges::any_of(parts_, [](const MappedFile& part) { return part.changed(); });
}

void File::advise(std::span<const std::byte> bytes, Advice advice) const noexcept {
  const std::less_equal<const std::byte*> before;
  for (const MappedFile& part : parts_) {
    const auto all = part.bytes();
    if (before(all.data(), bytes.data()) && before(bytes.data() + bytes.size(), all.data() + all.size()))
      part.advise(bytes, advice);
  }
}

}  // namespace medlar::gguf
