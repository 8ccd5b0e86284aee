#include "store/commit.h"

#include <algorithm>
#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace medlar::store {
namespace {

namespace fs = std::filesystem;

void link_part(const fs::path& link, const fs::path& target) {
  std::error_code error;
  if (fs::read_symlink(link, error) == target && !error) return;
  fs::create_directories(link.parent_path(), error);
  if (error) fail_errno(link.parent_path(), "create the folder", error.value());
  const fs::path temporary = link.native() + ".tmp";
  ::unlink(temporary.c_str());
  if (::symlink(target.c_str(), temporary.c_str()) != 0) fail_errno(link, "create the link", errno);
  if (::rename(temporary.c_str(), link.c_str()) != 0) fail_errno(link, "create the link", errno);
}

void link_part(const Layout& layout, const std::string& model, const std::string& name,
               const Digest& digest) {
  link_part(layout.links(model) / name, fs::path("../../blobs") / digest.file_name());
}

}  // namespace

FileLock lock_store(const Layout& layout) {
  layout.create();
  return FileLock::wait_exclusive(layout.lock(), [] {});
}

bool commit_model(const Layout& layout, const Manifest& manifest, const std::vector<StagedFile>& staged) {
  const FileLock lock = lock_store(layout);
  const bool complete = std::ranges::all_of(staged, [&](const StagedFile& file) {
    return !file.path.empty() || has_blob(layout, file.entry.digest, file.entry.bytes);
  });
  if (!complete) return false;
  for (const StagedFile& file : staged) {
    if (file.path.empty()) continue;
    const fs::path blob = layout.blob(file.entry.digest);
    ::chmod(file.path.c_str(), 0444);  // nothing shall overwrite it in place; a refusal does no harm
    if (::rename(file.path.c_str(), blob.c_str()) != 0) fail_errno(blob, "create", errno);
  }
  flush_folder(layout.blobs());
  if (manifest.files.size() > 1) {
    for (const ManifestFile& file : manifest.files) link_part(layout, manifest.name, file.name, file.digest);
  }
  write_manifest(layout.manifest(manifest.name), manifest);
  return true;
}

void link_parts(const Layout& layout, const InstalledModel& model) {
  for (const ModelFile& file : model.files) link_part(layout, model.name, file.name, file.digest);
}

}  // namespace medlar::store
