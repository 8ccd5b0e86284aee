// Reading well formed files, models split over several files, and what happens to a file that is in use.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_writer.h"
#include "gguf_bytes.h"

namespace medlar::gguf {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kF32 = 0, kQ8_0 = 8;

// The message with which f fails.
template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

class GgufFile : public ::testing::Test {
 protected:
  GgufFile() {
    std::string pattern = (fs::temp_directory_path() / "medlar-test-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~GgufFile() override { fs::remove_all(folder_); }

  fs::path make(const std::string& name, const Bytes& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes.text();
    return folder_ / name;
  }
  // A part with the tensor "t<index>", filled with its index. `tensors` is split.tensors.count.
  Bytes part(std::uint16_t index, std::uint16_t count, std::int32_t tensors) const {
    Bytes b;
    b.header(1, 3).key("split.no", index).key("split.count", count).key("split.tensors.count", tensors);
    b.tensor("t" + std::to_string(index), {8}, kF32, 0).pad();
    return b.raw(std::string(32, static_cast<char>('0' + index)));
  }
  void make_split(std::uint16_t count) const {
    for (std::uint16_t i = 0; i < count; ++i) make(part_name(i, count), part(i, count, count));
  }
  static std::string part_name(int index, int count) {
    return fmt::format("m-{:05}-of-{:05}.gguf", index + 1, count);
  }

  fs::path folder_;
};

class GgufSplit : public GgufFile {};
class GgufWriter : public GgufFile {};

TEST_F(GgufFile, ShowsMetadataAndTensorsOutermostDimensionFirst) {
  Bytes b;
  b.header(2, 1).key_string("general.architecture", "llama");
  b.tensor("matrix", {64, 3}, kQ8_0, 0).tensor("vector", {8}, kF32, 224).pad();
  const std::size_t data_offset = b.span().size();
  b.raw(std::string(204, 'm')).zeros(20).raw(std::string(32, 'v'));
  const File file = File::open(make("m.gguf", b));
  EXPECT_EQ(file.name(), (folder_ / "m.gguf").string());
  EXPECT_EQ(file.metadata().get<std::string_view>("general.architecture"), "llama");
  ASSERT_EQ(file.tensors().size(), 2u);
  const TensorView& matrix = file.tensor("matrix");
  EXPECT_EQ(matrix.type, DType::q8_0);
  EXPECT_EQ(matrix.shape, (Shape{3, 64}));
  EXPECT_EQ(matrix.bytes.size(), 3u * 2 * 34);
  EXPECT_EQ(matrix.bytes.data(), file.parts()[0].bytes().data() + data_offset);
  EXPECT_EQ(file.tensor("vector").bytes[0], std::byte{'v'});
  EXPECT_EQ(file.find_tensor("absent"), nullptr);
  EXPECT_THAT(message_of([&] { file.tensor("absent"); }), HasSubstr("tensor absent is missing"));
}

TEST_F(GgufFile, Version2IsReadAsVersion3) {
  Bytes b;
  b.header(1, 1, 2).key<std::uint32_t>("n", 4).tensor("w", {8}, kF32, 0).pad().zeros(32);
  const Contents contents = parse(b.span(), "m");
  EXPECT_EQ(contents.version, 2u);
  EXPECT_EQ(contents.tensors.size(), 1u);
}

TEST_F(GgufFile, AVocabularyWithoutTensorsNeedsNoDataSection) {
  const Bytes b = Bytes().header(0, 1).key<std::uint8_t>("n", 4);
  EXPECT_EQ(parse(b.span(), "m").tensors.size(), 0u);
}

TEST_F(GgufFile, AlignmentMovesTheData) {
  Bytes b;
  b.header(2, 1).key<std::uint32_t>("general.alignment", 256);
  b.tensor("a", {1}, kF32, 0).tensor("b", {1}, kF32, 256).pad(256).raw("aaaa").pad(256).raw("bbbb");
  const Contents contents = parse(b.span(), "m");
  EXPECT_EQ(contents.data_offset % 256, 0u);
  EXPECT_EQ(contents.tensors[1].view.bytes[0], std::byte{'b'});
}

TEST_F(GgufFile, StaysValidWhenMoved) {
  File file = File::open(make("m.gguf", part(0, 1, 1)));
  const File moved = std::move(file);
  EXPECT_EQ(moved.tensor("t0").bytes[31], std::byte{'0'});
  moved.advise(moved.tensor("t0").bytes, Advice::willneed);
}

TEST_F(GgufFile, TruncationInUseIsReportedAsThatFilesError) {
  Bytes b;
  b.header(1, 0).tensor("w", {1 << 18}, kF32, 0).pad().raw(std::string(1 << 20, 'x'));
  const fs::path path = make("m.gguf", b);
  const File file = File::open(path);
  EXPECT_NO_THROW(file.check());
  fs::resize_file(path, 4096);
  EXPECT_EQ(file.tensor("w").bytes.back(), std::byte{0});
  EXPECT_THAT(message_of([&] { file.check(); }),
              AllOf(HasSubstr("m.gguf"), HasSubstr("was truncated while in use")));
  EXPECT_TRUE(file.changed());
}

TEST_F(GgufFile, OverwritingIsNoticed) {
  const fs::path path = make("m.gguf", part(0, 1, 1));
  const File file = File::open(path);
  EXPECT_FALSE(file.changed());
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(1));
  EXPECT_TRUE(file.changed());
}

TEST_F(GgufSplit, AnyPartOpensTheWholeModel) {
  make_split(3);
  for (int i = 0; i < 3; ++i) {
    const File file = File::open(folder_ / part_name(i, 3));
    EXPECT_EQ(file.parts().size(), 3u);
    EXPECT_EQ(file.name(), (folder_ / part_name(0, 3)).string());
    ASSERT_EQ(file.tensors().size(), 3u);
    for (char c : {'0', '1', '2'})
      EXPECT_EQ(file.tensor(std::string("t") + c).bytes[0], static_cast<std::byte>(c));
  }
}

TEST_F(GgufSplit, PartsMayBeNamedByTheCaller) {
  const std::vector<fs::path> paths = {make("sha256-aa", part(0, 2, 2)), make("sha256-bb", part(1, 2, 2))};
  EXPECT_EQ(File::open(paths).tensors().size(), 2u);
  const std::vector<fs::path> swapped = {paths[1], paths[0]};
  EXPECT_THAT(message_of([&] { File::open(swapped); }),
              HasSubstr("says it is part 2 of 2, but was opened as part 1"));
  EXPECT_THAT(message_of([&] { File::open(std::vector{paths[0]}); }), HasSubstr("part 1 of 2"));
  EXPECT_THROW(File::open(std::vector<fs::path>{}), Error);
}

TEST_F(GgufSplit, AMissingPartIsNamed) {
  make_split(3);
  fs::remove(folder_ / part_name(1, 3));
  EXPECT_THAT(message_of([&] { File::open(folder_ / part_name(0, 3)); }),
              HasSubstr("m-00002-of-00003.gguf: part 2 of 3 is missing"));
}

TEST_F(GgufSplit, WrongIndicesAndCountsAreRefused) {
  make_split(3);
  make(part_name(1, 3), part(2, 3, 3));
  EXPECT_THAT(message_of([&] { File::open(folder_ / part_name(0, 3)); }),
              HasSubstr("m-00002-of-00003.gguf: says it is part 3 of 3, but was opened as part 2 of 3"));
  make(part_name(1, 3), part(1, 4, 3));
  EXPECT_THAT(message_of([&] { File::open(folder_ / part_name(0, 3)); }),
              HasSubstr("says it is part 2 of 4"));
  make(part_name(1, 3), Bytes().header(0, 0));
  EXPECT_THAT(message_of([&] { File::open(folder_ / part_name(0, 3)); }),
              HasSubstr("says it is part 1 of 1"));
}

TEST_F(GgufSplit, AWrongNumberOfTensorsIsRefused) {
  for (std::uint16_t i = 0; i < 2; ++i) make(part_name(i, 2), part(i, 2, 5));
  EXPECT_THAT(message_of([&] { File::open(folder_ / part_name(0, 2)); }),
              HasSubstr("split.tensors.count is 5, but the parts hold 2 tensors"));
}

TEST_F(GgufSplit, ATensorInTwoPartsIsRefused) {
  Bytes second;
  second.header(1, 2).key<std::uint16_t>("split.no", 1).key<std::uint16_t>("split.count", 2);
  second.tensor("t0", {8}, kF32, 0).pad().zeros(32);
  make(part_name(0, 2), part(0, 2, 2));
  make(part_name(1, 2), second);
  EXPECT_THAT(message_of([&] { File::open(folder_ / part_name(0, 2)); }), HasSubstr("tensor t0 comes twice"));
}

TEST_F(GgufSplit, APartUnderAnotherNameIsRefused) {
  EXPECT_THAT(message_of([&] { File::open(make("model.gguf", part(0, 3, 3))); }),
              HasSubstr("is one of 3 parts"));
  EXPECT_THAT(message_of([&] { File::open(make(part_name(0, 2), part(0, 3, 3))); }),
              HasSubstr("is one of 3 parts"));
}

TEST(GgufSplitName, NamesOfPartsAreParsedAndMade) {
  const SplitName name = SplitName::parse("a-b.Q4-00002-of-00013.gguf").value_or(SplitName{});
  EXPECT_EQ(name.stem, "a-b.Q4");
  EXPECT_EQ(name.part, 2u);
  EXPECT_EQ(name.count, 13u);
  EXPECT_EQ(name.file_name(11), "a-b.Q4-00011-of-00013.gguf");
}

TEST(GgufSplitName, NamesWithFoldersOrWrongNumbersAreRefused) {
  for (std::string_view name :
       {"../m-00001-of-00002.gguf", "/etc/m-00001-of-00002.gguf", "a\\m-00001-of-00002.gguf",
        "m-00000-of-00002.gguf", "m-00003-of-00002.gguf", "m-1-of-2.gguf", "m-0000x-of-00002.gguf",
        "m-00001-of-00002.ggu", "m-00001of-00002.gguf", "m-+0001-of-00002.gguf", "m--0001-of-00002.gguf",
        "m- 0001-of-00002.gguf", "-00001-of-00002.gguf", "m.gguf", "", "m-00001-of-00002.gguf.part",
        "m-000001-of-00002.gguf/x"})
    EXPECT_FALSE(SplitName::parse(name)) << name;
  EXPECT_FALSE(SplitName::parse(std::string_view("m\0-00001-of-00002.gguf", 22)));
}

TEST_F(GgufWriter, WhatIsWrittenIsReadBack) {
  const fs::path path = folder_ / "out.gguf";
  {
    Writer writer(path, {.alignment = 128});
    writer.set("general.architecture", "llama");
    writer.set("n", std::uint32_t{7});
    writer.set("n", std::uint32_t{8});  // takes the place of the first
    writer.add_tensor("a", DType::q8_0, {2, 32});
    writer.add_tensor("b", DType::f32, {3});
    writer.write(bytes_of(std::string(34, 'x')));
    writer.write(bytes_of(std::string(34, 'y')));
    EXPECT_FALSE(fs::exists(path));
    writer.write(bytes_of(std::string(12, 'z')));
    writer.finish();
  }
  const File file = File::open(path);
  EXPECT_EQ(file.metadata().get<std::uint32_t>("general.alignment"), 128u);
  EXPECT_EQ(file.metadata().get<std::uint32_t>("n"), 8u);
  EXPECT_EQ(file.tensor("a").shape, (Shape{2, 32}));
  EXPECT_EQ(file.tensor("a").bytes[34], std::byte{'y'});
  EXPECT_EQ(file.tensor("b").bytes[11], std::byte{'z'});
}

TEST_F(GgufWriter, CopiesMetadataButNotTheOtherFilesLayout) {
  Bytes b;
  b.header(0, 5).key<std::uint32_t>("general.alignment", 64).key<std::uint16_t>("split.no", 0);
  b.key<std::uint16_t>("split.count", 1).key_strings("tokens", {"a", "b"}).key<float>("eps", 0.5F);
  const fs::path path = folder_ / "out.gguf";
  Writer writer(path);
  writer.copy(parse(b.span(), "m").metadata);
  writer.finish();
  const File file = File::open(path);
  EXPECT_EQ(file.metadata().entries().size(), 2u);
  EXPECT_THAT(file.metadata().get<std::vector<std::string_view>>("tokens"), ElementsAre("a", "b"));
}

TEST_F(GgufWriter, MisuseIsRefusedAndLeavesNoFile) {
  const fs::path path = folder_ / "out.gguf";
  {
    Writer writer(path);
    EXPECT_THROW(writer.set("", 1), Error);
    EXPECT_THROW(writer.set("a\nb", 1), Error);
    EXPECT_THROW(writer.set("general.alignment", 64u), Error);
    writer.add_tensor("a", DType::f32, {4});
    EXPECT_THROW(writer.add_tensor("a", DType::f32, {4}), Error);
    EXPECT_THROW(writer.add_tensor("b", DType::q8_0, {33}), Error);
    EXPECT_THROW(writer.add_tensor("b", DType::f32, {0, 4}), Error);
    EXPECT_THROW(writer.add_tensor(std::string(65, 'n'), DType::f32, {4}), Error);
    EXPECT_THROW(writer.write(bytes_of(std::string(17, 'x'))), Error);
    writer.write(bytes_of(std::string(8, 'x')));
    EXPECT_THROW(writer.set("late", 1), Error);
    EXPECT_THROW(writer.add_tensor("late", DType::f32, {4}), Error);
    EXPECT_THROW(writer.finish(), Error);
    writer.write(bytes_of(std::string(8, 'x')));
    EXPECT_THROW(writer.write(bytes_of("x")), Error);
  }
  EXPECT_TRUE(fs::is_empty(folder_));
  EXPECT_THROW(Writer(path, {.alignment = 3}), Error);
}

}  // namespace
}  // namespace medlar::gguf
