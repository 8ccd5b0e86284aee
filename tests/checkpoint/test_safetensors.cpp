// Safetensors: what is read, and files that must be refused, by rule.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "allocation_meter.h"
#include "base/error.h"
#include "checkpoint/safetensors.h"

namespace medlar::safetensors {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A file of this header and as many bytes of data.
std::string file_of(std::string_view header, std::size_t data, std::int64_t lie = 0) {
  const auto length = static_cast<std::uint64_t>(static_cast<std::int64_t>(header.size()) + lie);
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  file += header;
  for (std::size_t i = 0; i < data; ++i) file += static_cast<char>(i);
  return file;
}

std::vector<Tensor> parse_text(const std::string& file) {
  return parse(std::as_bytes(std::span(file)), "f.safetensors");
}

void expect_bad(const std::string& file, std::string_view part) {
  const std::size_t before = allocated_bytes();
  try {
    parse_text(file);
    ADD_FAILURE() << "accepted: " << file.substr(8, 100);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::bad_file);
    EXPECT_THAT(std::string(e.what()), HasSubstr("f.safetensors: "));
    EXPECT_THAT(std::string(e.what()), HasSubstr(std::string(part)));
    EXPECT_LT(allocated_bytes() - before, 2 * file.size() + (8 << 20));
  }
}
void expect_bad_header(std::string_view header, std::string_view part, std::size_t data = 0) {
  expect_bad(file_of(header, data), part);
}

TEST(Safetensors, ReadsTensorsInTheOrderOfTheirData) {
  const std::string file = file_of(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},)"
      R"("a":{"data_offsets":[0,4],"dtype":"F32","shape":[]},"empty":{"dtype":"F4","shape":[0,7],"data_offsets":[16,16]}}   )",
      16);
  const std::vector<Tensor> tensors = parse_text(file);
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[0].type, Type::f32);
  EXPECT_EQ(tensors[1].name, "b");
  EXPECT_THAT(tensors[1].shape, ElementsAre(2, 3));
  EXPECT_EQ(tensors[1].bytes.size(), 12u);
  EXPECT_EQ(tensors[1].bytes.front(), std::byte{4});
  EXPECT_TRUE(tensors[2].bytes.empty());
}

TEST(Safetensors, MetadataMayBeNull) {
  const std::string tensor = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  EXPECT_EQ(parse_text(file_of(R"({"__metadata__":null,)" + tensor, 1)).size(), 1u);
}

TEST(SafetensorsHostile, Header) {
  expect_bad("", "8 more bytes wanted");
  expect_bad("1234567", "8 more bytes wanted");
  expect_bad(file_of("", 0), "header of 0 bytes");
  expect_bad(file_of("{}", 0, 1), "more bytes wanted");
  expect_bad(file_of("{}", 0, std::int64_t{1} << 40), "not a safetensors file");
  expect_bad(file_of("{}", 0, -100), "not a safetensors file");
  expect_bad_header("[]", "no JSON object");
  expect_bad_header("{\"a\xff\":1}", "header");
  expect_bad_header("{", "header");
  expect_bad_header("{} x", "header");
  expect_bad_header(R"({"a":1})", "a number where none belongs");
  expect_bad_header(R"({"a":null})", "null");
  expect_bad_header(R"({"a":{"dtype":{}}})", "an object where none belongs");
  expect_bad_header(R"({"__metadata__":{"a":1}})", "a number");
  expect_bad_header(R"({"__metadata__":{},"__metadata__":{}})", "__metadata__ comes twice");
  expect_bad_header(R"({"a":)" + std::string(100000, '['), "header");
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[)" + std::string(100000, '['), "header");
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[)" + std::string(200000, '1'), "header");
}

TEST(SafetensorsHostile, Fields) {
  expect_bad_header(R"({"a":{}})", "not all there");
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[1]}})", "not all there");
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", "not all there", 4);
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", "more than two", 4);
  expect_bad_header(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", "dtype \"F33\"", 4);
  expect_bad_header(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                    "dtype comes twice", 4);
  expect_bad_header(R"({"a":{"type":"F32"}})", "field \"type\"");
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "-1 is no size", 4);
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", "a fraction", 4);
  expect_bad_header(R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})", "a string", 4);
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})",
                    "more than 8 dimensions", 4);
}

TEST(SafetensorsHostile, Data) {
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})",
                    "overflows", 4);
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}})",
                    "overflows", 4);
  expect_bad_header(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", "within a byte", 2);
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "take 8 bytes", 4);
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "begin at byte 4", 4);
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "end at byte 8 of 4", 4);
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "after the last tensor", 5);
  expect_bad_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "begin at byte 4", 8);
  const auto two = [](std::string_view a, std::string_view b, std::string_view second) {
    return fmt::format(R"({{"{}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},)"
                       R"("{}":{{"dtype":"F32","shape":[1],"data_offsets":[{}]}}}})",
                       a, b, second);
  };
  expect_bad_header(two("a", "b", "0,4"), "begin at byte 0", 8);
  expect_bad_header(two("a", "b", "2,6"), "begin at byte 2", 8);
  expect_bad_header(two("a", "a", "4,8"), "comes twice", 8);
  expect_bad_header(two("a\\u0000", "b", "4,8"), "printable", 8);
}

class SafetensorsFolder : public ::testing::Test {
 protected:
  SafetensorsFolder() : folder_(fs::temp_directory_path() / "medlar-safetensors-test") {
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  ~SafetensorsFolder() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  static std::string one(std::string_view name) {
    return file_of(fmt::format(R"({{"{}":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}}})", name), 4);
  }
  void index(const std::string& map) {
    write("model.safetensors.index.json", R"({"weight_map":)" + map + "}");
  }
  void expect_refused(ErrorKind kind, std::string_view part) {
    try {
      Files::open(folder_);
      ADD_FAILURE() << "accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), kind);
      EXPECT_THAT(std::string(e.what()), HasSubstr(std::string(part)));
    }
  }

  fs::path folder_;
};

TEST_F(SafetensorsFolder, OneFileOrShards) {
  expect_refused(ErrorKind::not_found, "neither");
  write("model.safetensors", one("a"));
  EXPECT_NE(Files::open(folder_).find("a"), nullptr);
  write("x.safetensors", one("b"));
  write("y.safetensors", one("c"));
  index(R"({"b":"x.safetensors","c":"y.safetensors"})");
  const Files files = Files::open(folder_);
  EXPECT_EQ(files.files().size(), 2u);
  EXPECT_NE(files.find("b"), nullptr);
  EXPECT_EQ(files.find("a"), nullptr);
}

TEST_F(SafetensorsFolder, RefusesAnIndexThatLies) {
  write("x.safetensors", one("a"));
  write("y.safetensors", one("a"));
  index(R"({"a":"x.safetensors","b":"gone.safetensors"})");
  expect_refused(ErrorKind::not_found, "gone.safetensors is missing");
  for (const std::string_view name :
       {"/etc/passwd", "../x.safetensors", "a/x.safetensors", "passwd", "x\\n.safetensors"}) {
    index(fmt::format(R"({{"a":"{}"}})", name));
    expect_refused(ErrorKind::bad_file, "no shard of this folder");
  }
  index(R"({"a":"x.safetensors","b":"y.safetensors"})");
  expect_refused(ErrorKind::bad_file, "in two shards");
  index(R"({"a":"x.safetensors","b":"x.safetensors"})");
  expect_refused(ErrorKind::bad_file, "tensor b is in none");
  index("{}");
  fs::remove(folder_ / "y.safetensors");
  index(R"({"a":1})");
  expect_refused(ErrorKind::bad_file, "no file name");
  write("model.safetensors.index.json", "[]");
  expect_refused(ErrorKind::bad_file, "not a JSON object");
  write("model.safetensors.index.json", std::string(100000, '['));
  expect_refused(ErrorKind::bad_file, "not JSON");
  write("model.safetensors.index.json", "{}");
  expect_refused(ErrorKind::bad_file, "weight_map");
}

}  // namespace
}  // namespace medlar::safetensors
