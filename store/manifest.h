// A manifest: the small JSON file that makes a model exist, by naming its verified files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "store/digest.h"

namespace medlar::store {

struct ManifestFile {
  Digest digest;
  std::uint64_t bytes = 0;
  std::string name;  // at its source: "Model-Q4_K_M.gguf"; a plain file name
};

struct Manifest {
  std::string name;                 // "smollm2:135m"
  std::string source;               // where the files came from: "hf.co/user/repo", "pypi:PACKAGE" or a URL
  std::string architecture;         // as the file says: "llama"; empty: it does not
  std::string quant;                // "Q4_K_M"; empty: unknown
  std::string created;              // UTC, "2026-11-21T04:06:00Z"
  std::vector<ManifestFile> files;  // the parts of the model, in order; at least one

  std::uint64_t bytes() const;
};

std::string to_json(const Manifest& manifest);

// Throws Error(bad_file) naming `source` and the field. Accepts what to_json() writes and unknown fields.
Manifest parse_manifest(std::string_view json, std::string_view source);

// Throws what reading and parsing throw. At most 1 MiB is read.
Manifest read_manifest(const std::filesystem::path& path);

// Appears complete or not at all. Throws Error: io, no_space.
void write_manifest(const std::filesystem::path& path, const Manifest& manifest);

// Whether `name` can stand for a file within a folder: not empty, no '/', no NUL, neither "." nor "..".
bool is_plain_file_name(std::string_view name);

}  // namespace medlar::store
