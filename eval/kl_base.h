// Log-probabilities of a base model on disk, in the file format of llama.cpp's llama-perplexity
// (docs/quality.md has it byte by byte).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "eval/row.h"
#include "eval/windows.h"

namespace medlar::eval {

// A mapped file: rows are read as they are needed. Move-only.
class KlBase {
 public:
  // Throws Error: bad_file for what is no such file, ends early or names impossible tokens; what opening a
  // file throws.
  static KlBase open(const std::filesystem::path& path);
  // The bytes of such a file, which must outlive the result; `name` is for errors.
  KlBase(std::span<const std::byte> bytes, std::string name);

  const std::string& name() const { return name_; }
  std::int64_t context() const { return context_; }  // tokens of a window
  std::int64_t vocab() const { return vocab_; }
  std::int64_t windows() const { return windows_; }
  std::int64_t scored() const { return context_ - 1 - context_ / 2; }  // rows of a window
  const std::vector<text::TokenId>& tokens() const { return tokens_; }
  StoredRow row(std::int64_t window, std::int64_t index) const;
  // The window's rows are not needed again. Throws Error(io) where the file was cut meanwhile.
  void leave(std::int64_t window) const;

  // Throws Error(usage) naming the first difference, unless `tokens` begin as the base's.
  void check_same_text(std::span<const text::TokenId> tokens) const;

 private:
  std::span<const std::byte> rows_of(std::int64_t window) const;

  std::string name_;
  MappedFile file_;
  std::span<const std::byte> rows_;
  std::int64_t context_ = 0, vocab_ = 0, windows_ = 0;
  std::vector<text::TokenId> tokens_;
};

// Writes such a file, which appears when it is complete.
class KlBaseWriter {
 public:
  // The windows must have no stride. Throws Error(no_space) where the disk has no room for all of it, and
  // what AtomicFile throws.
  KlBaseWriter(const std::filesystem::path& path, const Windows& windows, std::int64_t vocab);
  // The next rows, as store_row() makes them.
  void write(std::span<const std::byte> rows) { file_.write(rows); }
  void commit() { file_.commit(); }

 private:
  AtomicFile file_;
};

}  // namespace medlar::eval
