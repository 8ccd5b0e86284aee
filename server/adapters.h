// LoRA adapters as llama-server's clients ask for them. Their scales are those that the model was loaded
// with; what asks for others is refused.
#pragma once

#include <vector>

#include "engine/engine.h"
#include "server/form.h"

namespace medlar::server {

// [{"id": ID, "scale": SCALE}, ...]
struct LoraScales {
  struct Item {
    int id = 0;
    float scale = 0;
  };
  std::vector<Item> items;
};
template <>
struct JsonType<LoraScales> {
  static LoraScales read(const boost::json::value& v, const Path& path, const FieldSpec& spec);
  static boost::json::object schema(const FieldSpec& spec);
};

// What is not in the list counts as 0. Throws ApiError: 404 naming an adapter that does not exist, unless its
// scale is 0; 400 where the model's own scales are others.
void check_scales(const Engine& engine, const LoraScales& wanted, const Path& path);

}  // namespace medlar::server
