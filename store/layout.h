// Where the store keeps things on disk. docs/store.md describes every file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "store/digest.h"

namespace medlar::store {

// $MEDLAR_HOME; else $XDG_DATA_HOME/medlar or ~/.local/share/medlar on Linux and
// ~/Library/Application Support/Medlar on macOS. Throws Error(usage) when no home folder is known.
std::filesystem::path default_root();

// The name, made fit for a file: [a-z0-9._-] stay, upper case becomes '!' and the lower-case letter, anything
// else and a leading dot become %XX. So names differ as files exactly when they differ, on case-insensitive
// file systems too. A name too long for a file ends in 16 hex digits of its own SHA-256.
std::string file_stem(std::string_view name);

struct Layout {
  std::filesystem::path root;

  std::filesystem::path blobs() const { return root / "blobs"; }
  std::filesystem::path models() const { return root / "models"; }
  std::filesystem::path partial() const { return root / "partial"; }
  std::filesystem::path links() const { return root / "links"; }
  std::filesystem::path lock() const { return root / "lock"; }

  std::filesystem::path blob(const Digest& digest) const { return blobs() / digest.file_name(); }
  std::filesystem::path manifest(std::string_view name) const {
    return models() / (file_stem(name) + ".json");
  }
  // The folder where the parts of a split model stand under their own names.
  std::filesystem::path links(std::string_view name) const { return links() / file_stem(name); }

  // Makes the folders. Throws Error(io or no_space).
  void create() const;
};

// Whether `digest` is there with that size: a blob is verified before it gets its name.
bool has_blob(const Layout& layout, const Digest& digest, std::uint64_t bytes);

// Bytes an ordinary user may still write to the file system that holds `path`; the largest number if unknown.
std::uint64_t free_bytes(const std::filesystem::path& path);

// Forces a folder's entries to the disk, so that a rename or unlink in it survives a crash.
void flush_folder(const std::filesystem::path& folder);

// Forces a file's contents to the disk. Throws Error(io or no_space).
void flush_file(int fd, const std::filesystem::path& path);

}  // namespace medlar::store
