// Store::verify: reads every byte of a model again, and fetches what is no longer right.
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "store/commit.h"
#include "store/store.h"

namespace medlar::store {
namespace {

// Of the blob as it is now. Adds the bytes it read to `meter`.
FileState examine(const Layout& layout, const ModelFile& file, ProgressMeter& meter) {
  if (!has_blob(layout, file.digest, file.bytes)) {
    std::error_code error;
    return std::filesystem::exists(layout.blob(file.digest), error) ? FileState::damaged : FileState::missing;
  }
  Sha256 hash;
  try {
    read_file(layout.blob(file.digest), file.bytes, [&](std::span<const std::byte> block) {
      hash.update(block);
      meter.add(block.size());
    });
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::not_found) return FileState::missing;
    if (e.kind() == ErrorKind::io || e.kind() == ErrorKind::bad_file)
      return FileState::damaged;  // a failing disk
    throw;
  }
  return hash.finish() == file.digest ? FileState::good : FileState::damaged;
}

}  // namespace

VerifyReport Store::verify(std::string_view reference, const VerifyOptions& options) {
  const auto model = find(reference);
  if (!model) {
    throw Error(ErrorKind::not_found, fmt::format("{}: not installed", printable(reference, 120)),
                "`medlar list` shows what is");
  }
  if (model->files.empty()) {
    throw Error(ErrorKind::bad_file, fmt::format("{}: {}", printable(model->name, 120), model->problem),
                "remove it and pull it again");
  }
  ProgressMeter meter(options.progress, options.cancel);
  meter.begin(Phase::verifying, model->name, 0, model->bytes);
  VerifyReport report;
  for (const ModelFile& file : model->files) {
    report.files.push_back({file.name, file.digest, file.bytes, examine(layout_, file, meter)});
  }
  meter.flush();
  if (report.good() || !options.repair) return report;
  {
    const FileLock lock = lock_store(layout_);
    for (const VerifyReport::File& file : report.files) {
      if (file.state == FileState::damaged) ::unlink(layout_.blob(file.digest).c_str());
    }
  }
  pull(model->name, {.progress = options.progress, .cancel = options.cancel});
  for (VerifyReport::File& file : report.files) {
    if (file.state != FileState::good && has_blob(layout_, file.digest, file.bytes))
      file.state = FileState::repaired;
  }
  return report;
}

}  // namespace medlar::store
