// A synthetic model in a file without a name, which goes away with the process however that ends.
#pragma once

#include <filesystem>

#include "base/posix.h"
#include "tune/synth.h"

namespace medlar::tune {

class SynthFile {
 public:
  // Written in the folder for temporary files. Throws what synthesize() throws.
  explicit SynthFile(const SynthModel& model, const SynthOptions& options = {});
  // What to open, while this lives.
  std::filesystem::path path() const;

 private:
  FileDescriptor file_;
};

}  // namespace medlar::tune
