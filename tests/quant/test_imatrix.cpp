// Files of importance: both layouts, what they come to, and what is refused.
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/mapped_file.h"
#include "checkpoint/gguf_writer.h"
#include "quant/imatrix.h"

namespace medlar::quant {
namespace {

Imatrix two_tensors() {
  Imatrix m;
  m.datasets = {"text.txt"};
  m.chunks = 3, m.chunk_size = 512;
  m.entries["blk.0.ffn_up.weight"] = {.columns = 3, .counts = {4}, .squares = {4, 8, 12}, .sums = {1, -2, 3}};
  m.entries["blk.0.ffn_up_exps.weight"] = {
      .columns = 2, .counts = {2, 0}, .squares = {6, 8, 0, 0}, .sums = {1, 2, 0, 0}};
  return m;
}

class ImatrixFile : public testing::Test {
 protected:
  std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) / "test.imatrix.gguf";
  void TearDown() override { std::filesystem::remove(path_); }
};

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

// The older layout, as docs/quantizing.md has it.
template <class T>
void put(std::string& to, T v) {
  to.append(reinterpret_cast<const char*>(&v), sizeof v);
}
std::string older() {
  std::string file;
  put(file, 1);
  put(file, 5), file += "a.b.c";
  put(file, 2), put(file, 3);
  for (const float v : {2.0F, 4.0F, 6.0F}) put(file, v);
  put(file, 7);
  put(file, 4), file += "text";
  return file;
}

std::string message(const std::string& file) {
  try {
    Imatrix::read(bytes(file), "x");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::bad_file);
    return e.what();
  }
  return "";
}

TEST_F(ImatrixFile, IsReadAsItWasWritten) {
  two_tensors().write(path_);
  const Imatrix m = Imatrix::read(path_);
  EXPECT_EQ(m.datasets, std::vector<std::string>{"text.txt"});
  EXPECT_EQ(m.chunks, 3);
  EXPECT_EQ(m.chunk_size, 512);
  ASSERT_EQ(m.entries.size(), 2);
  const ImatrixEntry& e = m.entries.at("blk.0.ffn_up_exps.weight");
  EXPECT_EQ(e.columns, 2);
  EXPECT_EQ(e.counts, (std::vector<double>{2, 0}));
  EXPECT_EQ(e.squares, (std::vector<double>{6, 8, 0, 0}));
  EXPECT_EQ(e.sums, (std::vector<double>{1, 2, 0, 0}));
}

TEST(Imatrix, MeansAreOfTheRowsThatWereSeen) {
  const Imatrix m = two_tensors();
  EXPECT_EQ(m.means("blk.0.ffn_up.weight"), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(m.means("blk.0.ffn_up_exps.weight"), (std::vector<float>{3, 4, 1, 1}));
  EXPECT_TRUE(m.means("blk.1.ffn_up.weight").empty());
}

TEST(Imatrix, MergingAddsUp) {
  Imatrix m = two_tensors(), other = two_tensors();
  other.datasets = {"other.txt"};
  other.entries["blk.1.ffn_up.weight"] = other.entries["blk.0.ffn_up.weight"];
  m.merge(other);
  EXPECT_EQ(m.entries.size(), 3);
  EXPECT_EQ(m.chunks, 6);
  EXPECT_EQ(m.datasets, (std::vector<std::string>{"text.txt", "other.txt"}));
  EXPECT_EQ(m.entries.at("blk.0.ffn_up.weight").squares, (std::vector<double>{8, 16, 24}));
  EXPECT_EQ(m.entries.at("blk.0.ffn_up.weight").sums, (std::vector<double>{2, -4, 6}));
  EXPECT_EQ(m.entries.at("blk.0.ffn_up_exps.weight").counts, (std::vector<double>{4, 0}));
  EXPECT_EQ(m.means("blk.0.ffn_up.weight"), (std::vector<float>{1, 2, 3}));
  other.entries["blk.0.ffn_up.weight"].squares.resize(2);
  EXPECT_THROW(m.merge(other), Error);
}

TEST(Imatrix, ReadsTheOlderLayout) {
  const Imatrix m = Imatrix::read(bytes(older()), "x");
  EXPECT_EQ(m.chunks, 7);
  EXPECT_EQ(m.datasets, std::vector<std::string>{"text"});
  EXPECT_EQ(m.means("a.b.c"), (std::vector<float>{1, 2, 3}));
  // Its chunks count as many rows as the newer layout's.
  Imatrix newer;
  newer.chunk_size = 512;
  newer.entries["a.b.c"] = {.columns = 3, .counts = {1024}, .squares = {0, 0, 0}, .sums = {}};
  newer.merge(m);
  EXPECT_EQ(newer.means("a.b.c"), (std::vector<float>{0.5F, 1, 1.5F}));
}

TEST(Imatrix, OlderFilesEndAnywhere) {
  const std::string whole = older();
  const std::size_t entry = 4 + 4 + 5 + 8 + 12;
  for (std::size_t n = 0; n < whole.size(); ++n) {
    if (n == entry || n == entry + 4) continue;  // what names the text may be missing
    EXPECT_NE(message(whole.substr(0, n)), "") << n;
  }
}

TEST(Imatrix, OtherFilesAreRefused) {
  EXPECT_THAT(message("this is a text, and no importance matrix at all"),
              testing::HasSubstr("no importance matrix"));
  std::string negative = older();
  const float v = -1;
  std::memcpy(&negative[4 + 4 + 5 + 8], &v, sizeof v);
  EXPECT_THAT(message(negative), testing::HasSubstr("a.b.c"));
}

class ImatrixGguf : public ImatrixFile {
 protected:
  // What reading says of a file with these tensors.
  std::string refused(const std::function<void(gguf::Writer&)>& describe,
                      const std::vector<std::size_t>& floats) {
    gguf::Writer w(path_);
    describe(w);
    for (const std::size_t n : floats) {
      const std::vector<float> ones(n, 1.0F);
      w.write(std::as_bytes(std::span(ones)));
    }
    w.finish();
    const MappedFile file(path_);
    try {
      Imatrix::read(file.bytes(), "x");
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
};

TEST_F(ImatrixGguf, ModelsAndBrokenEntriesAreRefused) {
  const auto chunks = [](gguf::Writer& w) { w.set("imatrix.chunk_count", std::uint32_t{1}); };
  EXPECT_THAT(refused([](gguf::Writer& w) { w.add_tensor("a.in_sum2", DType::f32, {1, 4}); }, {4}),
              testing::HasSubstr("no importance matrix"));
  EXPECT_THAT(refused(
                  [&](gguf::Writer& w) {
                    chunks(w);
                    w.add_tensor("a.in_sum2", DType::f32, {1, 4});
                  },
                  {4}),
              testing::HasSubstr("entry a has only one"));
  EXPECT_THAT(refused(
                  [&](gguf::Writer& w) {
                    chunks(w);
                    w.add_tensor("a.in_sum2", DType::f32, {2, 8});
                    w.add_tensor("a.counts", DType::f32, {3, 8});
                  },
                  {16, 24}),
              testing::HasSubstr("24 counts for 2 matrices"));
  EXPECT_THAT(refused(
                  [&](gguf::Writer& w) {
                    chunks(w);
                    w.set("general.type", "model");
                  },
                  {}),
              testing::HasSubstr("no importance matrix"));
}

}  // namespace
}  // namespace medlar::quant
