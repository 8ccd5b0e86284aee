#include "eval/kl_base.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "base/checked.h"
#include "base/error.h"

namespace medlar::eval {
namespace {

constexpr std::string_view kMagic = "_logits_";
constexpr std::size_t kHeaderBytes = 8 + 3 * sizeof(std::int32_t);

std::int64_t read_count(std::span<const std::byte> bytes, std::size_t at) {
  std::int32_t value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

}  // namespace

KlBase KlBase::open(const std::filesystem::path& path) {
  MappedFile file(path);
  file.advise(file.bytes(), Advice::sequential);
  KlBase base(file.bytes(), path.string());
  file.check();
  base.file_ = std::move(file);
  return base;
}

KlBase::KlBase(std::span<const std::byte> bytes, std::string name) : name_(std::move(name)) {
  if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    throw Error(ErrorKind::bad_file, fmt::format("{}: no file of log-probabilities", name_),
                "make one with medlar perplexity --save-base, or llama-perplexity --kl-divergence-base");
  context_ = read_count(bytes, 8);
  vocab_ = read_count(bytes, 12);
  windows_ = read_count(bytes, 16);
  if (context_ < kShortestContext || vocab_ < 1 || windows_ < 1)
    fail(ErrorKind::bad_file, "{}: {} windows of {} tokens, {} in the vocabulary, make no sense", name_,
         windows_, context_, vocab_);
  const std::int64_t count = checked_mul(context_, windows_, name_);
  const auto token_bytes = static_cast<std::size_t>(checked_mul<std::int64_t>(count, 4, name_));
  const auto window_bytes = static_cast<std::size_t>(checked_mul(scored(), stored_row_bytes(vocab_), name_));
  bytes = bytes.subspan(kHeaderBytes);
  if (bytes.size() < token_bytes) fail(ErrorKind::bad_file, "{}: ends within its tokens", name_);
  rows_ = bytes.subspan(token_bytes);
  if (rows_.size() / window_bytes < static_cast<std::size_t>(windows_))
    throw Error(ErrorKind::bad_file,
                fmt::format("{}: ends in window {} of {}", name_, rows_.size() / window_bytes + 1, windows_),
                "it was cut, or is still being written");
  tokens_.resize(static_cast<std::size_t>(count));
  std::memcpy(tokens_.data(), bytes.data(), token_bytes);
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (tokens_[i] < 0 || tokens_[i] >= vocab_)
      fail(ErrorKind::bad_file, "{}: token {} at position {} is none of {}", name_, tokens_[i], i, vocab_);
  }
}

std::span<const std::byte> KlBase::rows_of(std::int64_t window) const {
  const auto size = static_cast<std::size_t>(scored() * stored_row_bytes(vocab_));
  return rows_.subspan(static_cast<std::size_t>(window) * size, size);
}

StoredRow KlBase::row(std::int64_t window, std::int64_t index) const {
  const auto size = static_cast<std::size_t>(stored_row_bytes(vocab_));
  return stored_row(rows_of(window).subspan(static_cast<std::size_t>(index) * size, size), vocab_);
}

void KlBase::leave(std::int64_t window) const {
  file_.check();
  if (!file_.bytes().empty()) file_.advise(rows_of(window), Advice::dontneed);
}

void KlBase::check_same_text(std::span<const text::TokenId> tokens) const {
  const std::string hint = "a base is compared on its own text; without --file, its tokens are taken";
  const std::size_t both = std::min(tokens.size(), tokens_.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (tokens[i] != tokens_[i])
      throw Error(ErrorKind::usage,
                  fmt::format("{}: made from another text: token {} is {} there and {} here", name_, i,
                              tokens_[i], tokens[i]),
                  hint);
  }
  if (both < tokens_.size())
    throw Error(ErrorKind::usage,
                fmt::format("{}: made from another text: it has {} tokens, the text {}", name_,
                            tokens_.size(), tokens.size()),
                hint);
}

KlBaseWriter::KlBaseWriter(const std::filesystem::path& path, const Windows& windows, std::int64_t vocab)
    : file_(path) {
  const std::string name = path.string();
  const std::vector<text::TokenId> tokens = windows.tokens();
  const std::int64_t rows = checked_mul(windows.count(), windows.scored(), name);
  const auto bytes = kHeaderBytes + tokens.size() * sizeof(text::TokenId) +
                     static_cast<std::uint64_t>(checked_mul(rows, stored_row_bytes(vocab), name));
  std::error_code unknown;
  const std::filesystem::space_info disk =
      std::filesystem::space(std::filesystem::absolute(path).parent_path(), unknown);
  if (!unknown && disk.available < bytes)
    throw Error(ErrorKind::no_space,
                fmt::format("{}: {} MB are needed, and the disk has {} MB", name, bytes / 1'000'000,
                            disk.available / 1'000'000),
                "give --chunks a smaller number, or another disk");
  const std::array<std::int32_t, 3> counts{checked_cast<std::int32_t>(windows.length(), name),
                                           checked_cast<std::int32_t>(vocab, name),
                                           checked_cast<std::int32_t>(windows.count(), name)};
  file_.write(std::as_bytes(std::span(kMagic)));
  file_.write(std::as_bytes(std::span(counts)));
  file_.write(std::as_bytes(std::span(tokens)));
}

}  // namespace medlar::eval
