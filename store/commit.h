// The last step of a pull: verified files become blobs, and the manifest makes them a model.
#pragma once

#include <filesystem>
#include <vector>

#include "store/layout.h"
#include "store/lock.h"
#include "store/manifest.h"
#include "store/store.h"

namespace medlar::store {

// Held for the few milliseconds in which names change: blobs appear and vanish only under it.
FileLock lock_store(const Layout& layout);

// A complete, flushed file in the partial folder, on its way to being a blob.
struct StagedFile {
  std::filesystem::path path;  // empty: the blob is there already
  ManifestFile entry;
};

// Renames every staged file to its blob and writes the manifest, in that order, each durable before the next:
// a crash leaves the model fully there or fully absent, and at worst blobs that nobody names. Returns false,
// having changed nothing that matters, when a blob that was there has been removed meanwhile.
// Throws Error: io, no_space.
bool commit_model(const Layout& layout, const Manifest& manifest, const std::vector<StagedFile>& staged);

// For a split model: its parts under their own names beside each other, as links to the blobs. Does nothing
// where they are. Throws Error(io, no_space).
void link_parts(const Layout& layout, const InstalledModel& model);

}  // namespace medlar::store
