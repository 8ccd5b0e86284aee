// GGUF files that must be refused, by rule: a typed error that names the place, at once, and without memory
// that the file's own size does not justify.
#include <bit>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocation_meter.h"
#include "base/error.h"
#include "checkpoint/gguf.h"
#include "gguf_bytes.h"

namespace medlar::gguf {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint32_t kF32 = 0, kQ8_0 = 8, kQ4K = 12;
constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

struct Refusal {
  ErrorKind kind = ErrorKind::cancelled;
  std::string message, hint;
  double cpu_seconds = 0;
  std::size_t allocated = 0;  // bytes
};

// Parses what must not parse.
Refusal refuse(std::span<const std::byte> file) {
  const std::size_t allocated = allocated_bytes();
  const std::clock_t start = std::clock();
  try {
    parse(file, "bad.gguf");
  } catch (const Error& e) {
    return {.kind = e.kind(),
            .message = e.what(),
            .hint = e.hint(),
            .cpu_seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC,
            .allocated = allocated_bytes() - allocated};
  }
  ADD_FAILURE() << "the file was accepted";
  return {};
}
Refusal refuse(const Bytes& file) { return refuse(file.span()); }

// Refused as a broken file with a message that has `part` in it, in no time and with next to no memory.
void expect_bad(const Bytes& file, std::string_view part) {
  const Refusal r = refuse(file);
  EXPECT_EQ(r.kind, ErrorKind::bad_file) << r.message;
  EXPECT_THAT(r.message, AllOf(HasSubstr("bad.gguf: "), HasSubstr(part), Not(HasSubstr("\n"))));
  EXPECT_LT(r.cpu_seconds, 0.05);
  EXPECT_LT(r.allocated, 8192u);
}

// A tensor of 8 floats at offset 0, with its data.
Bytes small_file() {
  Bytes b;
  b.header(1, 3)
      .key<std::uint32_t>("a.count", 7)
      .key_string("general.name", "small")
      .key_strings("a.list", {"x", "yz"});
  return b.tensor("w", {8}, kF32, 0).pad().zeros(32);
}

TEST(GgufVersion, WrongMagicIsNamedForWhatItIs) {
  expect_bad(Bytes().raw("GGUX").zeros(60), "is not a GGUF file");
  expect_bad(Bytes().raw("<!DOCTYPE html>").zeros(60), "a web page");
  expect_bad(Bytes().raw("version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer");
  expect_bad(Bytes().number<std::uint64_t>(2).raw("{\"a\": 1}"), "a safetensors file");
  expect_bad(Bytes().raw("tjgg").zeros(60), "before GGUF");
  expect_bad(Bytes(), "is empty");
}

TEST(GgufVersion, OtherVersionsAreNamedAndTheHintSaysWhatToDo) {
  for (std::uint32_t version : {0u, 1u, 4u, 17u, 0x10001u, 0xffffffffu}) {
    const Refusal r = refuse(Bytes().header(0, 0, version).zeros(64));
    EXPECT_EQ(r.kind, ErrorKind::unsupported);
    EXPECT_THAT(r.message, HasSubstr("GGUF version " + std::to_string(version) + " cannot be read"));
    EXPECT_FALSE(r.hint.empty());
  }
  EXPECT_THAT(refuse(Bytes().header(0, 0, 1).zeros(64)).hint, HasSubstr("convert"));
  EXPECT_THAT(refuse(Bytes().header(0, 0, 4).zeros(64)).hint, HasSubstr("update"));
}

TEST(GgufVersion, ByteSwappedFilesAreRecognised) {
  for (std::uint32_t version : {2u, 3u}) {
    const Refusal r = refuse(Bytes().header(0, 0, std::byteswap(version)).zeros(64));
    EXPECT_EQ(r.kind, ErrorKind::unsupported);
    EXPECT_THAT(r.message, HasSubstr("GGUF version " + std::to_string(version) + " in big-endian"));
    EXPECT_THAT(r.hint, HasSubstr("gguf-convert-endian"));
  }
}

TEST(GgufTruncation, CutAtEveryByteIsRefused) {
  const Bytes whole = small_file();
  ASSERT_NO_THROW(parse(whole.span(), "good"));
  for (std::size_t length = 0; length < whole.span().size(); ++length) {
    // A copy, so that an access past the cut is an access past an allocation.
    const std::vector<std::byte> cut(whole.span().begin(),
                                     whole.span().begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(refuse(std::span(cut)).kind, ErrorKind::bad_file) << length;
  }
}

TEST(GgufTruncation, WhatIsNoRegularFileIsRefusedWithoutBlocking) {
  std::string pattern = (fs::temp_directory_path() / "medlar-test-XXXXXX").string();
  const fs::path folder = ::mkdtemp(pattern.data());
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  std::ofstream(folder / "empty").flush();
  for (const fs::path& path :
       {folder, folder / "fifo", folder / "empty", folder / "missing", fs::path("/dev/zero")})
    EXPECT_THROW(File::open(path), Error) << path;
  fs::remove_all(folder);
}

TEST(GgufCounts, ImpossibleCountsAreRefusedBeforeAllocating) {
  for (std::uint64_t count :
       {kMax, std::uint64_t{1} << 63, std::uint64_t{1'000'000'000}, std::uint64_t{1} << 32}) {
    expect_bad(Bytes().header(count, 0).zeros(16), "tensors do not fit");
    expect_bad(Bytes().header(0, count).zeros(16), "metadata keys do not fit");
    expect_bad(Bytes().header(count, count).zeros(16), "do not fit");
  }
}

TEST(GgufCounts, CountsThatTheMetadataLeavesNoRoomForAreRefusedBeforeAllocating) {
  Bytes b;
  b.header(60'000, 1).key_string("a", std::string(2'400'000, 'x'));
  const Refusal r = refuse(b);
  EXPECT_THAT(r.message, HasSubstr("60000 tensors do not fit into the remaining 0 bytes"));
  EXPECT_LT(r.allocated, 8192u);
}

TEST(GgufCounts, StringsLongerThanTheFileAreRefused) {
  for (std::uint64_t length :
       {kMax, kMax - 7, std::uint64_t{1} << 63, std::uint64_t{1} << 32, std::uint64_t{100}}) {
    expect_bad(Bytes().header(0, 1).number(length).raw("key").zeros(40), "a metadata key");
    expect_bad(Bytes().header(0, 1).string("k").type(ValueType::string).number(length).zeros(40), "key k");
    expect_bad(Bytes().header(1, 0).number(length).raw("name").zeros(40), "a tensor's name");
  }
}

TEST(GgufCounts, ArraysWhoseSizeWrapsAreRefused) {
  const auto array = [](ValueType element, std::uint64_t count) {
    return Bytes().header(0, 1).string("k").type(ValueType::array).type(element).number(count).zeros(64);
  };
  for (std::uint32_t type = 0; type < kValueTypes; ++type) {
    for (std::uint64_t count :
         {kMax, kMax / 2 + 1, kMax / 4 + 1, kMax / 8 + 1, kMax / 8 + 2, std::uint64_t{65}})
      expect_bad(array(static_cast<ValueType>(type), count), "does not fit");
  }
}

TEST(GgufCounts, NestedArraysAreRefusedWithinABoundedStack) {
  Bytes b;
  b.header(0, 1).string("k").type(ValueType::array);
  for (int i = 0; i < 10'000; ++i) b.type(ValueType::array).number<std::uint64_t>(1);
  b.type(ValueType::u8).number<std::uint64_t>(1).number<std::uint8_t>(1);
  expect_bad(b, "key k: arrays nested more than");
}

TEST(GgufCounts, ValueTypesThatDoNotExistAreRefused) {
  for (std::uint32_t type : {13u, 255u, 0x80000000u, 0xffffffffu}) {
    expect_bad(Bytes().header(0, 1).string("k").number(type).zeros(40), "value type " + std::to_string(type));
    expect_bad(Bytes().header(0, 1).string("k").type(ValueType::array).number(type).zeros(40),
               "value type " + std::to_string(type));
  }
}

TEST(GgufCounts, BooleansOtherThanZeroAndOneAreRefused) {
  expect_bad(Bytes().header(0, 1).string("k").type(ValueType::boolean).number<std::uint8_t>(2).zeros(8),
             "key k: 2");
  expect_bad(Bytes()
                 .header(0, 1)
                 .string("k")
                 .type(ValueType::array)
                 .type(ValueType::boolean)
                 .number<std::uint64_t>(2)
                 .number<std::uint8_t>(1)
                 .number<std::uint8_t>(255)
                 .zeros(8),
             "key k: 255");
}

// `count` keys that share a long beginning.
Bytes near_duplicates(std::uint64_t count, std::string_view last) {
  Bytes b;
  b.header(0, count);
  const std::string stem = "a." + std::string(60, 'x');
  for (std::uint64_t i = 0; i + 1 < count; ++i) b.key<std::uint8_t>(stem + std::to_string(i), 0);
  return b.key<std::uint8_t>(std::string(stem).append(last), 0);
}

TEST(GgufKeys, DuplicatesAreRefused) {
  expect_bad(Bytes().header(0, 3).key("a", 1).key("b", 2).key("a", 3), "key a: comes twice");
  expect_bad(near_duplicates(50, "7"), "7: comes twice");
}

TEST(GgufKeys, ManyNearDuplicatesCostNearLinearTime) {
  // The largest directory that is read at all; comparing each key with each other one would take minutes.
  const Bytes most = near_duplicates(kMaxKeys, "0");
  const Refusal r = refuse(most);
  EXPECT_THAT(r.message, HasSubstr("comes twice"));
  EXPECT_LT(r.cpu_seconds, 5);
  EXPECT_LT(r.allocated, 2 * most.span().size());
}

TEST(GgufKeys, AMillionKeysAreRefusedAtOnce) {
  expect_bad(near_duplicates(1'000'000, "x"), "1000000 metadata keys, but at most");
}

TEST(GgufKeys, BadKeysAreRefusedAndEscaped) {
  expect_bad(Bytes().header(0, 1).key<int>("", 1), "has an empty name");
  expect_bad(Bytes().header(0, 1).key<int>(std::string(70'000, 'k'), 1), "its name has 70000 bytes");
  expect_bad(Bytes().header(0, 1).key<int>(std::string_view("a\0b", 3), 1), "key a\\x00b: ");
  expect_bad(Bytes().header(0, 1).key<int>("a\xff", 1), "key a\\xff: ");
  expect_bad(Bytes().header(0, 1).key<int>("\x1b[2J", 1), "key \\x1b[2J: ");
}

TEST(GgufAlignment, OnlySmallPowersOfTwoAreAccepted) {
  for (std::uint32_t alignment : {0u, 1u, 3u, 4u, 24u, 33u, 1u << 17, 1u << 31, 0xffffffffu})
    expect_bad(Bytes().header(0, 1).key("general.alignment", alignment),
               "general.alignment: " + std::to_string(alignment));
  for (std::uint32_t alignment : {8u, 16u, 32u, 64u, 4096u, 65536u})
    EXPECT_EQ(parse(Bytes().header(0, 1).key("general.alignment", alignment).span(), "x").alignment,
              alignment);
}

TEST(GgufAlignment, WrongTypesAreRefused) {
  const auto refuse_type = [](const Bytes& b, std::string_view found) {
    expect_bad(b, std::string("key general.alignment: expected u32, found ").append(found));
  };
  refuse_type(Bytes().header(0, 1).key<std::uint8_t>("general.alignment", 32), "u8");
  refuse_type(Bytes().header(0, 1).key<std::int32_t>("general.alignment", 32), "i32");
  refuse_type(Bytes().header(0, 1).key<std::uint64_t>("general.alignment", 32), "u64");
  refuse_type(Bytes().header(0, 1).key<float>("general.alignment", 32), "f32");
  refuse_type(Bytes().header(0, 1).key_string("general.alignment", "32"), "string");
  refuse_type(Bytes().header(0, 1).key_array<std::uint32_t>("general.alignment", {32}), "array");
}

Bytes one_tensor(std::initializer_list<std::uint64_t> extents, std::uint32_t type) {
  return Bytes().header(1, 0).tensor("blk.0.w", extents, type, 0).pad().zeros(4096);
}

TEST(GgufShape, ExtentsOutOfRangeAreRefused) {
  expect_bad(one_tensor({0}, kF32), "tensor blk.0.w: dimension 0 is 0");
  expect_bad(one_tensor({4, 0}, kF32), "tensor blk.0.w: dimension 1 is 0");
  expect_bad(one_tensor({kMax}, kF32), "tensor blk.0.w: dimension 0 is -1");
  expect_bad(one_tensor({4, std::uint64_t{1} << 63}, kF32), "tensor blk.0.w: dimension 1 is -");
}

TEST(GgufShape, ProductsThatOverflowAreRefused) {
  constexpr std::uint64_t k31 = std::uint64_t{1} << 31, k32 = std::uint64_t{1} << 32;
  expect_bad(one_tensor({k32, k31}, kF32), "too many elements");              // 2^63
  expect_bad(one_tensor({k32, k32}, kF32), "too many elements");              // 2^64
  expect_bad(one_tensor({k32, k32, k32, k32}, kF32), "too many elements");    // 2^128
  expect_bad(one_tensor({k31, k31}, kF32), "overflows");                      // 2^62, in 2^64 bytes
  expect_bad(one_tensor({(std::uint64_t{1} << 62) - 8}, kF32), "overflows");  // bytes just below 2^64
}

TEST(GgufShape, WrongNumbersOfDimensionsAreRefused) {
  expect_bad(one_tensor({1, 1, 1, 1, 1}, kF32), "tensor blk.0.w: 5 dimensions");
  expect_bad(one_tensor({}, kF32), "tensor blk.0.w: 0 dimensions");
  expect_bad(Bytes().header(1, 0).string("w").number<std::uint32_t>(0xffffffff).zeros(64),
             "tensor w: 4294967295 dim");
}

TEST(GgufShape, RowsThatAreNoWholeNumberOfBlocksAreRefused) {
  expect_bad(one_tensor({33}, kQ8_0), "tensor blk.0.w: rows of 33 elements");
  expect_bad(one_tensor({16, 16}, kQ8_0),
             "tensor blk.0.w: rows of 16 elements");  // 8 blocks in all, none whole
  expect_bad(one_tensor({128}, kQ4K), "tensor blk.0.w: rows of 128 elements");
}

TEST(GgufType, RemovedTypesAreNamed) {
  for (std::uint32_t type : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u})
    expect_bad(one_tensor({256}, type), "tensor blk.0.w: type " + std::to_string(type) + " (");
  expect_bad(one_tensor({256}, 4), "(Q4_2) was removed");
}

TEST(GgufType, UnknownTypesAreNamed) {
  for (std::uint32_t type : {43u, 255u, 256u, 512u, 0x80000000u, 0xffffffffu})
    expect_bad(one_tensor({256}, type), "tensor blk.0.w: type " + std::to_string(type) + " is not known");
}

TEST(GgufType, TypesThatCannotRunAreNamedAsUnsupported) {
  const Refusal r = refuse(one_tensor({256}, 41));
  EXPECT_EQ(r.kind, ErrorKind::unsupported);
  EXPECT_THAT(r.message, HasSubstr("tensor blk.0.w: type 41 (Q1_0)"));
}

Bytes two_tensors(std::uint64_t first, std::uint64_t second) {
  return Bytes()
      .header(2, 0)
      .tensor("a", {10}, kF32, first)
      .tensor("b", {10}, kF32, second)
      .pad()
      .zeros(4096);
}

TEST(GgufOffsets, TensorsLieOneAfterAnother) {
  ASSERT_NO_THROW(parse(two_tensors(0, 64).span(), "good"));
  expect_bad(two_tensors(0, 0), "tensor b: its data begins at offset 0");        // overlap
  expect_bad(two_tensors(0, 32), "tensor b: its data begins at offset 32");      // partial overlap
  expect_bad(two_tensors(0, 96), "tensor b: its data begins at offset 96");      // hole
  expect_bad(two_tensors(32, 96), "tensor a: its data begins at offset 32");     // hole before the first
  expect_bad(two_tensors(0, 40), "tensor b: its data begins at offset 40");      // unaligned
  expect_bad(two_tensors(64, 0), "tensor a: its data begins at offset 64");      // out of order
  expect_bad(two_tensors(0, kMax - 31), "tensor b: its data begins at offset");  // wraps
}

TEST(GgufOffsets, DataPastTheEndIsRefused) {
  const auto file = [](std::size_t data) {
    return Bytes().header(1, 0).tensor("w", {8}, kF32, 0).pad().zeros(data);
  };
  expect_bad(file(0), "tensor w: its data ends 32 bytes past the end");
  expect_bad(file(31), "tensor w: its data ends 1 bytes past the end");
  EXPECT_NO_THROW(parse(file(32).span(), "good"));
  // The directory ends the file, and even the padding before the data is missing.
  expect_bad(Bytes().header(1, 0).tensor("w", {8}, kF32, 0), "tensor w: its data ends 32 bytes past the end");
}

TEST(GgufNames, TheSameTensorTwiceIsRefused) {
  expect_bad(Bytes().header(2, 0).tensor("w", {8}, kF32, 0).tensor("w", {8}, kF32, 32).pad().zeros(64),
             "tensor w comes twice");
}

TEST(GgufNames, BadNamesAreRefusedAndEscaped) {
  const auto named = [](std::string_view name) {
    return Bytes().header(1, 0).tensor(name, {8}, kF32, 0).pad().zeros(64);
  };
  expect_bad(named(""), "has an empty name");
  expect_bad(named(std::string_view("a\0b", 3)), "tensor a\\x00b: ");
  expect_bad(named("a\xc3\x28"), "tensor a\\xc3(: ");
  expect_bad(named("a\nb"), "tensor a\\nb: ");
  expect_bad(named("\xe2\x80\xae"
                   "evil"),
             "tensor \\u{202e}evil: ");
  expect_bad(named(std::string(65, 'n')), "its name has 65 bytes");
  EXPECT_NO_THROW(parse(named(std::string(64, 'n')).span(), "good"));
}

TEST(GgufNames, PathsAreEscapedInMessages) {
  try {
    parse({}, "evil\n\x1b[31m.gguf");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "evil\\n\\x1b[31m.gguf: is empty");
  }
}

}  // namespace
}  // namespace medlar::gguf
