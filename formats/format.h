// What a format is: facts about its blocks, and how to read and write one.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "formats/dtype.h"
#include "formats/portable.h"

namespace medlar::formats {

enum class Use : std::uint8_t {
  plain,   // numbers that a file may hold but that are no weights: i32, f64, ...
  weight,  // weights
  kv,      // weights and the KV cache
};

struct FormatInfo {
  std::string_view name;  // "q4_k"
  DType type;
  Use use;
  std::int64_t block_length;  // elements
  std::int64_t block_bytes;
  std::string_view layout;  // the block byte by byte and the value of an element, for docs/formats.md

  constexpr double bits_per_weight() const {
    return 8.0 * static_cast<double>(block_bytes) / static_cast<double>(block_length);
  }
  constexpr bool is_weight() const { return use != Use::plain; }
  constexpr bool is_kv() const { return use == Use::kv; }
};

// A weight format: a type that names a block and states its facts. Reading and writing are overloads for that
// block, found by argument-dependent lookup:
//   f32 decode(const Block* b, u32 i)      element i < Block::kLength
//   void encode(const f32* x, Block* b)    b holds Block::kLength values near x; a block that is given a NaN
//                                          or an infinity decodes to at least one of them, where the format
//                                          has such a number (nvfp4 does not)
template <class F>
concept Format = requires(const typename F::Block* from, typename F::Block* to, const f32* x, u32 i) {
  { F::info } -> std::same_as<const FormatInfo&>;
  { decode(from, i) } -> std::same_as<f32>;
  encode(x, to);
  requires std::is_trivially_copyable_v<typename F::Block>;
  requires sizeof(typename F::Block) == F::info.block_bytes;
};

template <class Block>
consteval FormatInfo describe(std::string_view name, DType type, Use use, std::string_view layout) {
  return {name, type, use, Block::kLength, sizeof(Block), layout};
}

}  // namespace medlar::formats
