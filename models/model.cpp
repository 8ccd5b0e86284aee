#include "models/model.h"

#include <vector>

#include <fmt/ranges.h>

#include "base/error.h"
#include "models/decoder.h"

namespace medlar::models {

std::int64_t vocabulary(const gguf::File& file) {
  const TensorView* table = file.find_tensor("token_embd.weight");
  if (!table || table->shape.rank() != 2)
    fail(ErrorKind::bad_file, "{}: tensor token_embd.weight is missing or no matrix", file.name());
  return table->shape[0];
}

void refuse_experts(const gguf::File& file, std::string_view architecture) {
  if (file.metadata().get_or<std::int64_t>(fmt::format("{}.expert_count", architecture), 0) > 0)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: {} with experts cannot run", file.name(), architecture),
                "choose a dense model");
}

Model build(const Source& source) {
  const gguf::File& file = source.file;
  const auto name = file.metadata().get<std::string_view>("general.architecture");
  std::vector<std::string_view> known;
  for (const Architecture& a : architectures()) {
    if (a.name == name) return a.build(source);
    known.push_back(a.name);
  }
  throw Error(ErrorKind::unsupported,
              fmt::format("{}: architecture \"{}\" cannot run yet", file.name(), name),
              fmt::format("these can: {}", fmt::join(known, ", ")));
}

}  // namespace medlar::models
