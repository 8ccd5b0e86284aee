#include "store/check.h"

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/gguf.h"

namespace medlar::store {

CheckedModel check_model(std::span<const std::filesystem::path> parts, std::string_view name) {
  CheckedModel out;
  try {
    const gguf::File file = gguf::File::open(parts);
    out.architecture = file.metadata().get_or<std::string>("general.architecture", "");
    file.check();
  } catch (const Error& e) {
    // The message names the file by its place in the store, which tells the user nothing.
    std::string message = e.what();
    for (const std::filesystem::path& part : parts) {
      const std::string prefix = printable(part.native()) + ": ";
      if (message.starts_with(prefix)) message.erase(0, prefix.size());
    }
    if (e.kind() == ErrorKind::unsupported) {
      out.problem = message;
      return out;
    }
    if (e.kind() != ErrorKind::bad_file) throw;
    throw Error(ErrorKind::bad_file,
                fmt::format("{}: not a sound GGUF model: {}", printable(name, 120), message),
                "the file at its source is damaged, or is something else; choose another one");
  }
  return out;
}

}  // namespace medlar::store
