// Files of items for medlar eval: one JSON object a line (docs/quality.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/item.h"

namespace medlar::cli {

// At least one item. Throws Error(bad_file) naming line and field.
std::vector<eval::Item> parse_items(std::string_view text, std::string_view source);

}  // namespace medlar::cli
