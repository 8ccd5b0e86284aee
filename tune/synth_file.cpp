#include "tune/synth_file.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace medlar::tune {

SynthFile::SynthFile(const SynthModel& model, const SynthOptions& options) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() /
      fmt::format("medlar-{}-{}-{}.gguf", model.shape.name, model.mix.name, ::getpid());
  synthesize(path, model, options);
  file_ = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int error = errno;
  ::unlink(path.c_str());
  if (!file_.valid()) fail_errno(path, "open", error);
}

std::filesystem::path SynthFile::path() const { return fmt::format("/dev/fd/{}", file_.get()); }

}  // namespace medlar::tune
