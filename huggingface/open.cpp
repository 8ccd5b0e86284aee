#include "huggingface/open.h"

#include <memory>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "formats/all.h"
#include "huggingface/convert.h"
#include "huggingface/view.h"

namespace medlar::huggingface {
namespace {

// What an open folder's metadata and small tensors are views into.
struct Memory {
  gguf::Values values;
  std::vector<std::string> names;
  std::vector<std::vector<float>> vectors;
};

}  // namespace

gguf::File open_model(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return gguf::File::open(path);
  View view = read_view(path);
  std::uint64_t copied = 0;
  auto memory = std::make_shared<Memory>();
  memory->names.reserve(view.tensors.size());
  std::vector<gguf::Tensor> tensors;
  for (const Recipe& t : view.tensors) {
    const std::string& name = memory->names.emplace_back(t.name);
    if (t.shape.rank() == 1) {
      std::vector<float>& values = memory->vectors.emplace_back(static_cast<std::size_t>(t.shape.back()));
      Recipe as_stands = t;
      as_stands.heads = 0;  // as the matrices beside it
      as_stands.decode(0, 1, values.data());
      copied += values.size() * sizeof(float);
      tensors.push_back({name, {DType::f32, t.shape, std::as_bytes(std::span(values))}});
      continue;
    }
    const auto bytes = t.in_place();
    if (!bytes)
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: {} is not in one piece, so it cannot run as it stands",
                              printable(path.native()), t.name),
                  fmt::format("medlar convert {} -o model.gguf", printable(path.native())));
    tensors.push_back({name, {t.type(), t.shape, *bytes}});
  }
  view.values.set("general.file_type", file_type(view.type()));
  if (view.family->rotary_neighbours)
    view.values.set(std::string(view.family->architecture) + ".rope.halves", true);
  memory->values = std::move(view.values);
  gguf::Metadata metadata(printable(path.native()), memory->values.entries());
  return gguf::File({.parts = std::move(view.files).release(),
                     .metadata = std::move(metadata),
                     .tensors = std::move(tensors),
                     .memory = memory,
                     .memory_bytes = copied + memory->values.bytes()});
}

}  // namespace medlar::huggingface
