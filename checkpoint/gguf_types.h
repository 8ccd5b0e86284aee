// GGUF's constants: the types a metadata value can have, and the limits this reader sets. Layout:
// docs/gguf.md.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace medlar::gguf {

// Numbered as in the file.
enum class ValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};
inline constexpr std::uint32_t kValueTypes = 13;

inline constexpr std::string_view kMagic = "GGUF";
inline constexpr std::uint32_t kVersion = 3;

inline constexpr std::string_view kAlignmentKey = "general.alignment";
inline constexpr std::uint32_t kDefaultAlignment = 32;  // bytes
inline constexpr std::uint32_t kMinAlignment = 8;
inline constexpr std::uint32_t kMaxAlignment = 65536;

// Far above every known model, and low enough that a hostile directory costs little before it is refused.
inline constexpr std::uint64_t kMaxKeys = 1u << 16;
inline constexpr std::uint64_t kMaxTensors = 1u << 16;
inline constexpr std::uint64_t kMaxKeyBytes = 65535;
inline constexpr std::uint64_t kMaxTensorNameBytes = 64;
inline constexpr int kMaxArrayDepth = 4;  // arrays of arrays are legal and unused

// "u32", "string", ...
std::string_view type_name(ValueType type);

// Bytes of one value of a type of fixed size; 0 for strings and arrays.
std::size_t type_bytes(ValueType type);

// The value type that carries T.
template <class T>
consteval ValueType type_of() {
  if constexpr (std::same_as<T, bool>) {
    return ValueType::boolean;
  } else if constexpr (std::same_as<T, float>) {
    return ValueType::f32;
  } else if constexpr (std::same_as<T, double>) {
    return ValueType::f64;
  } else if constexpr (std::integral<T>) {
    constexpr bool is_signed = std::is_signed_v<T>;
    switch (sizeof(T)) {
      case 1:
        return is_signed ? ValueType::i8 : ValueType::u8;
      case 2:
        return is_signed ? ValueType::i16 : ValueType::u16;
      case 4:
        return is_signed ? ValueType::i32 : ValueType::u32;
      default:
        return is_signed ? ValueType::i64 : ValueType::u64;
    }
  } else {
    static_assert(std::convertible_to<T, std::string_view>, "not a type that GGUF can hold");
    return ValueType::string;
  }
}

}  // namespace medlar::gguf
