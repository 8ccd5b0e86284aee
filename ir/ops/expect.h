// Shape rules fail through this: a model file with inconsistent hyperparameters ends here if nowhere earlier.
#pragma once

#include <string_view>

#include "base/error.h"

namespace medlar::ir {

inline void expect(bool holds, std::string_view op, std::string_view what) {
  if (!holds) fail(ErrorKind::bad_file, "the model's graph is inconsistent: {} wants {}", op, what);
}

}  // namespace medlar::ir
