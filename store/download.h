// One remote file, downloaded into the partial folder: resumed, retried, bounded and verified.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "store/digest.h"
#include "store/http.h"
#include "store/partial.h"
#include "store/progress.h"

namespace medlar::store {

struct RemoteFile {
  std::string url;
  std::string name;                    // plain file name
  std::string bearer;                  // token for the URL's origin; empty: none
  std::optional<Digest> digest;        // that the source promises
  std::optional<std::uint64_t> bytes;  // that the source promises
};

struct DownloadOptions {
  HttpOptions http;
  int attempts = 5;                        // in a row without progress
  std::chrono::milliseconds backoff{500};  // before the second attempt; doubles, at most 30 s
  std::uint64_t max_bytes = 1ULL << 40;    // where the source does not say how long the file is
  Partial::Options partial;
};

// Completes `partial` with the bytes of `file` and returns their digest; they are on the disk then.
// `meter` is in a phase whose done() counts the bytes of earlier files.
//
// Bytes are appended to an earlier attempt's only when the server proves that the file is the same: a strong
// entity tag that still holds, or a digest promised beforehand. A changed tag, a wrong range or a full answer
// to a range request begin the file anew. Throws HttpError; Error: bad_file when size or digest are not as
// promised (the partial file is discarded), no_space, io, cancelled.
Digest download(const RemoteFile& file, const DownloadOptions& options, Partial& partial,
                ProgressMeter& meter);

}  // namespace medlar::store
