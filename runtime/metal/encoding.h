// Objective-C type encodings: of a C++ signature, and in a form that can be compared with a method's own.
// Apple's "Objective-C Runtime Programming Guide", chapter "Type Encodings", lists the letters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "runtime/metal/objc.h"

namespace medlar::runtime::metal {

// MTLSize
struct Size {
  std::uint64_t width = 1, height = 1, depth = 1;
};

template <class T>
constexpr std::string_view type_encoding() {
  if constexpr (std::is_void_v<T>)
    return "v";
  else if constexpr (std::is_same_v<T, Id>)
    return "@";
  else if constexpr (std::is_same_v<T, Id*>)
    return "^@";
  else if constexpr (std::is_same_v<T, Selector>)
    return ":";
  else if constexpr (std::is_same_v<T, const char*>)
    return "*";
  else if constexpr (std::is_same_v<T, void*> || std::is_same_v<T, const void*>)
    return "^v";
  else if constexpr (std::is_same_v<T, bool>)
    return "B";
  else if constexpr (std::is_same_v<T, double>)
    return "d";
  else if constexpr (std::is_same_v<T, Size>)
    return "{?=QQQ}";
  else {
    static_assert(std::is_integral_v<T> && sizeof(T) == 8, "a type without an encoding");
    return std::is_signed_v<T> ? "q" : "Q";
  }
}

template <class Signature>
struct Encoding;

// Of a method: its result, the receiver, the selector, its arguments.
template <class Result, class... Args>
struct Encoding<Result(Args...)> {
  static std::string of() {
    std::string text(type_encoding<Result>());
    text += "@:";
    ((text += type_encoding<Args>()), ...);
    return text;
  }
};

// A method's encoding without what does not change how it is called: offsets of arguments, qualifiers such as
// const, names of classes and structs, blocks told from other objects, BOOL told from signed char, signs.
std::string comparable(std::string_view encoding);

}  // namespace medlar::runtime::metal
