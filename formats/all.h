// The list of formats, and everything that can be asked of a format by its number or name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "formats/bf16.h"
#include "formats/f16.h"
#include "formats/f32.h"
#include "formats/format.h"
#include "formats/iq1_m.h"
#include "formats/iq1_s.h"
#include "formats/iq2_s.h"
#include "formats/iq2_xs.h"
#include "formats/iq2_xxs.h"
#include "formats/iq3_s.h"
#include "formats/iq3_xxs.h"
#include "formats/iq4_nl.h"
#include "formats/iq4_xs.h"
#include "formats/mxfp4.h"
#include "formats/nvfp4.h"
#include "formats/q2_k.h"
#include "formats/q3_k.h"
#include "formats/q4_0.h"
#include "formats/q4_1.h"
#include "formats/q4_k.h"
#include "formats/q5_0.h"
#include "formats/q5_1.h"
#include "formats/q5_k.h"
#include "formats/q6_k.h"
#include "formats/q8_0.h"
#include "formats/tq1_0.h"
#include "formats/tq2_0.h"

namespace medlar::formats {

template <Format... F>
struct FormatList {};

using AllFormats =
    FormatList<F32, F16, Bf16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Iq4_NL, Iq4_XS,
               Iq3_S, Iq3_XXS, Iq2_S, Iq2_XS, Iq2_XXS, Iq1_M, Iq1_S, Tq2_0, Tq1_0, Mxfp4, Nvfp4>;

// Throws Error(unsupported) naming the type: one that is no weight format, or none at all.
[[noreturn]] void fail_no_format(DType type);

namespace detail {

template <class Fn, Format... F>
void for_each(Fn& fn, FormatList<F...>) {
  (fn(F{}), ...);
}

template <class Fn, Format First, Format... Rest>
decltype(auto) visit(DType type, Fn& fn, FormatList<First, Rest...>) {
  if (type == First::info.type) return fn(First{});
  if constexpr (sizeof...(Rest) > 0) {
    return visit(type, fn, FormatList<Rest...>{});
  } else {
    fail_no_format(type);
  }
}

}  // namespace detail

// fn(F{}) for every format F: `for_each_format([]<Format F>(F) { ... });`
template <class Fn>
void for_each_format(Fn&& fn) {
  detail::for_each(fn, AllFormats{});
}

// fn(F{}) for the format F of that number; fn returns the same type for all. Throws as fail_no_format does.
template <class Fn>
decltype(auto) visit(DType type, Fn&& fn) {
  return detail::visit(type, fn, AllFormats{});
}

// Every type that a file may hold, weight formats first.
std::span<const FormatInfo> all_infos();

// Null if GGUF's number stands for no type in that list.
const FormatInfo* find_info(std::uint64_t gguf_number);

// Throws Error(unsupported) naming the number if there is no such type.
const FormatInfo& format_info(DType type);

// By name: "q4_k". Upper and lower case are the same.
std::optional<DType> parse_dtype(std::string_view name);

// Bytes of a row. Throws Error(bad_file) if the elements are negative or no whole number of blocks, or the
// size overflows.
std::int64_t row_bytes(DType type, std::int64_t elements);

// n elements of a weight format from and to blocks at any alignment; n is a multiple of the block length. Bit
// for bit what decode() and encode() give without contraction to fused multiply-adds. Throw as visit() does.
void decode_row(DType type, const void* blocks, float* out, std::int64_t n);
void encode_row(DType type, const float* x, void* blocks, std::int64_t n);

}  // namespace medlar::formats

namespace medlar {

using formats::decode_row;
using formats::encode_row;
using formats::format_info;
using formats::FormatInfo;
using formats::parse_dtype;
using formats::row_bytes;

}  // namespace medlar
