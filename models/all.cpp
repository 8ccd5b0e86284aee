#include "models/all.h"

namespace medlar::models {

std::span<const Architecture> architectures() {
#define MEDLAR_ENTRY(id, name, title) {name, title, build_##id},
  static constexpr Architecture kAll[] = {MEDLAR_ARCHITECTURES(MEDLAR_ENTRY)};
#undef MEDLAR_ENTRY
  return kAll;
}

}  // namespace medlar::models
