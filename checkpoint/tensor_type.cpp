#include "checkpoint/tensor_type.h"

#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "formats/all.h"

namespace medlar {
namespace {

// Types that exist, or existed, and that Medlar cannot run.
struct ForeignType {
  std::uint32_t number;
  std::string_view name;
  bool removed;
};
constexpr ForeignType kForeignTypes[] = {
    {4, "Q4_2", true},        {5, "Q4_3", true},        {9, "Q8_1", false},       {15, "Q8_K", false},
    {16, "IQ2_XXS", false},   {17, "IQ2_XS", false},    {18, "IQ3_XXS", false},   {19, "IQ1_S", false},
    {21, "IQ3_S", false},     {22, "IQ2_S", false},     {29, "IQ1_M", false},     {31, "Q4_0_4_4", true},
    {32, "Q4_0_4_8", true},   {33, "Q4_0_8_8", true},   {34, "TQ1_0", false},     {35, "TQ2_0", false},
    {36, "IQ4_NL_4_4", true}, {37, "IQ4_NL_4_8", true}, {38, "IQ4_NL_8_8", true}, {40, "NVFP4", false},
    {41, "Q1_0", false},
};

[[noreturn]] void reject(std::uint32_t number, std::string_view what) {
  for (const ForeignType& type : kForeignTypes) {
    if (type.number != number) continue;
    if (type.removed)
      throw Error(ErrorKind::bad_file,
                  fmt::format("{}: type {} ({}) was removed from GGUF", what, number, type.name),
                  "quantize the model again with a current tool");
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: type {} ({}) cannot run yet", what, number, type.name),
                "choose a file with another quantization, such as Q4_K_M or Q8_0");
  }
  throw Error(ErrorKind::bad_file, fmt::format("{}: type {} is not known", what, number),
              "update Medlar, or choose a file with another quantization");
}

}  // namespace

DType tensor_type(std::uint32_t number, std::string_view what) {
  if (const FormatInfo* info = formats::find_info(number)) return info->type;
  reject(number, what);
}

std::uint64_t tensor_bytes(DType type, const Shape& shape, std::string_view what) {
  const FormatInfo& info = format_info(type);
  if (shape.back() % info.block_length != 0)
    fail(ErrorKind::bad_file, "{}: rows of {} elements are no whole number of {} blocks of {}", what,
         shape.back(), info.name, info.block_length);
  const auto row = checked_mul(shape.back() / info.block_length, info.block_bytes, what);
  return checked_mul(static_cast<std::uint64_t>(row), static_cast<std::uint64_t>(shape.rows()), what);
}

}  // namespace medlar
