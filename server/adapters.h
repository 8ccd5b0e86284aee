// LoRA adapters, of which this server has none yet: what asks for one is refused by its id.
#pragma once

#include <vector>

#include "server/form.h"

namespace medlar::server {

// [{"id": ID, "scale": SCALE}, ...]
struct LoraScales {};
template <>
struct JsonType<LoraScales> {
  // Throws ApiError(404) naming an adapter that does not exist; a scale of 0 asks for nothing.
  static LoraScales read(const boost::json::value& v, const Path& path, const FieldSpec& spec);
  static boost::json::object schema(const FieldSpec& spec);
};

}  // namespace medlar::server
