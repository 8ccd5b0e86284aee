// What tensors are called: modules of published checkpoints and their names in GGUF, each pair listed once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::huggingface {

// How the rows of one or more published tensors become those of GGUF's.
enum class Rows : std::uint8_t {
  same,
  query_heads,  // of each head's rotary pairs, where the family has them side by side in GGUF
  key_heads,
  first_half,  // of the rows, in each expert
  second_half,
};

// A module whose weight or bias has a name of its own in GGUF. "{}" stands for an expert's number: these
// tensors are stacked.
struct Renaming {
  std::string_view module;  // within a layer
  std::string_view gguf;    // within "blk.N."
  Rows rows = Rows::same;
};

// A published tensor's name, taken apart: model.layers.LAYER.MODULE.weight.
struct ParsedName {
  std::int64_t layer = -1;   // -1: outside the layers
  std::int64_t expert = -1;  // of a module with "{}"
  std::string module;
  std::string kind;  // "weight" or "bias"
};

// Nothing for what belongs to another model in the same folder (vision, audio), or is no weight.
std::optional<ParsedName> parse_name(std::string_view name);

// What the module becomes, by `own` names, else by those that most families share. Empty: unknown.
std::vector<Renaming> renamings(const ParsedName& name, std::span<const Renaming> own);

}  // namespace medlar::huggingface
