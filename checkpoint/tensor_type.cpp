// Which element types a file may have, and how large its tensors are.
#include "checkpoint/tensor_type.h"

#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "formats/all.h"

namespace medlar {
namespace {

// Types that exist, or existed, and that Medlar cannot run.
struct ForeignType {
  std::string_view name;
  std::uint32_t number;
  bool removed;
};
constexpr ForeignType kForeignTypes[] = {
    {"Q4_2", 4, true},      {"Q4_3", 5, true},        {"Q8_1", 9, false},       {"Q8_K", 15, false},
    {"Q4_0_4_4", 31, true}, {"Q4_0_4_8", 32, true},   {"Q4_0_8_8", 33, true},   {"IQ4_NL_4_4", 36, true},
    {"Q1_0", 41, false},    {"IQ4_NL_4_8", 37, true}, {"IQ4_NL_8_8", 38, true}, {"Q2_0", 42, false},
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
