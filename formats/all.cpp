// Facts by number and name, and rows of each format.
#include "formats/all.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "base/assert.h"
#include "base/checked.h"

namespace medlar::formats {
namespace {

constexpr FormatInfo plain(std::string_view name, DType type, std::int64_t bytes) {
  return {name, type, Use::plain, 1, bytes, {}};
}

template <Format... F>
constexpr auto infos_of(FormatList<F...>) {
  return std::array{F::info...,
                    plain("i8", DType::i8, 1),
                    plain("i16", DType::i16, 2),
                    plain("i32", DType::i32, 4),
                    plain("i64", DType::i64, 8),
                    plain("f64", DType::f64, 8)};
}

constexpr auto kInfos = infos_of(AllFormats{});

// By GGUF number; null for numbers without a type.
constexpr auto kByNumber = [] {
  std::array<const FormatInfo*, 256> infos{};
  for (const FormatInfo& info : kInfos) infos[static_cast<std::size_t>(info.type)] = &info;
  return infos;
}();

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

template <Format F>
void decode_blocks(const std::byte* from, float* out, std::int64_t blocks) {
  constexpr u32 kLength = F::Block::kLength;
  constexpr u32 kGroup = kLength < 16 ? 1 : 16;
  for (std::int64_t k = 0; k < blocks; ++k) {
    typename F::Block block;
    std::memcpy(&block, from + k * F::info.block_bytes, sizeof block);
    // In two loops, so that the compiler sees what does not change within a group.
    for (u32 group = 0; group < kLength; group += kGroup)
      for (u32 i = 0; i < kGroup; ++i) out[k * kLength + group + i] = decode(&block, group | i);
  }
}

template <Format F>
void encode_blocks(const float* x, std::byte* to, std::int64_t blocks) {
  for (std::int64_t k = 0; k < blocks; ++k) {
    typename F::Block block;
    encode(x + k * F::info.block_length, &block);
    std::memcpy(to + k * F::info.block_bytes, &block, sizeof block);
  }
}

template <Format F>
std::int64_t blocks_in(std::int64_t n) {
  MEDLAR_ASSERT(n >= 0 && n % F::info.block_length == 0);
  return n / F::info.block_length;
}

}  // namespace

void fail_no_format(DType type) {
  if (const FormatInfo* info = find_info(static_cast<std::uint64_t>(type)))
    fail(ErrorKind::unsupported, "tensor type {} ({}) holds no weights", static_cast<int>(type), info->name);
  fail(ErrorKind::unsupported, "tensor type {} is not known", static_cast<int>(type));
}

std::span<const FormatInfo> all_infos() { return kInfos; }

const FormatInfo* find_info(std::uint64_t gguf_number) {
  return gguf_number < kByNumber.size() ? kByNumber[gguf_number] : nullptr;
}

const FormatInfo& format_info(DType type) {
  if (const FormatInfo* info = find_info(static_cast<std::uint64_t>(type))) return *info;
  fail_no_format(type);
}

std::optional<DType> parse_dtype(std::string_view name) {
  for (const FormatInfo& info : kInfos)
    if (std::ranges::equal(name, info.name, {}, lower)) return info.type;
  return std::nullopt;
}

std::int64_t row_bytes(DType type, std::int64_t elements) {
  const FormatInfo& info = format_info(type);
  if (elements < 0 || elements % info.block_length != 0)
    fail(ErrorKind::bad_file, "a row of {} elements is no whole number of {} blocks of {}", elements,
         info.name, info.block_length);
  return checked_mul(elements / info.block_length, info.block_bytes, "bytes of a row");
}

void decode_row(DType type, const void* blocks, float* out, std::int64_t n) {
  visit(type,
        [&]<Format F>(F) { decode_blocks<F>(static_cast<const std::byte*>(blocks), out, blocks_in<F>(n)); });
}

void encode_row(DType type, const float* x, void* blocks, std::int64_t n) {
  visit(type, [&]<Format F>(F) { encode_blocks<F>(x, static_cast<std::byte*>(blocks), blocks_in<F>(n)); });
}

}  // namespace medlar::formats
