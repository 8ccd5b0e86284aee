// Leaves of a graph: a weight of the file, and a table of constants.
#pragma once

#include <string_view>

#include "ir/types.h"

namespace medlar::ir {

struct Weight {
  static constexpr std::string_view name = "weight";
  int index = 0;  // into Graph::weights()
};

struct Table {
  static constexpr std::string_view name = "table";
  int index = 0;  // into Graph::tables()
};

}  // namespace medlar::ir
