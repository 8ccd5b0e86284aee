// Whole files: what is copied, what is refused, and that nothing is left where something fails.
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "checkpoint/gguf_writer.h"
#include "formats/all.h"
#include "quant/quantize.h"

namespace medlar::quant {
namespace {

namespace fs = std::filesystem;

class Quantize : public testing::Test {
 protected:
  fs::path folder_ = fs::path(testing::TempDir()) / "medlar-quantize";
  Team team_{{.threads = 2}};
  std::vector<float> matrix_ = std::vector<float>(64 * 256);

  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (std::size_t i = 0; i < matrix_.size(); ++i) matrix_[i] = std::sin(static_cast<float>(i));
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A norm, a matrix, and one number that is no weight.
  gguf::File model() const {
    const std::vector<float> norm(256, 2.0F);
    gguf::Writer w(folder_ / "in.gguf", {.alignment = 64});
    w.set("general.architecture", "llama");
    w.set("general.file_type", std::uint32_t{0});
    w.add_tensor("blk.0.attn_norm.weight", DType::f32, {256});
    w.add_tensor("blk.0.ffn_up.weight", DType::f32, {64, 256});
    w.add_tensor("table", DType::i32, {1});
    w.write(std::as_bytes(std::span(norm)));
    w.write(std::as_bytes(std::span(matrix_)));
    const std::int32_t seven = 7;
    w.write(std::as_bytes(std::span(&seven, 1)));
    w.finish();
    return gguf::File::open(folder_ / "in.gguf");
  }

  QuantizeReport run(const gguf::File& model, DType type, const QuantizeOptions& options = {}) {
    const DType types[] = {DType::f32, type, DType::i32};
    return quantize(model, folder_ / "out.gguf", types, team_, options);
  }

  std::optional<Error> failure(DType type, const QuantizeOptions& options = {}) {
    const gguf::File m = model();
    try {
      run(m, type, options);
    } catch (const Error& e) {
      EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "something was left";
      return e;
    }
    return std::nullopt;
  }
};

TEST_F(Quantize, WritesWhatItWasAskedFor) {
  const QuantizeReport report = run(model(), DType::q4_k, {.file_type = 15});
  EXPECT_EQ(report.weights, 256 + 64 * 256);
  const gguf::File out = gguf::File::open(folder_ / "out.gguf");
  EXPECT_EQ(out.metadata().get<std::uint32_t>("general.file_type"), 15);
  EXPECT_EQ(out.metadata().get<std::uint32_t>("general.quantization_version"), 2);
  EXPECT_EQ(out.metadata().get<std::string>("general.architecture"), "llama");
  EXPECT_EQ(out.tensor("blk.0.attn_norm.weight").type, DType::f32);
  const TensorView& t = out.tensor("blk.0.ffn_up.weight");
  EXPECT_EQ(t.type, DType::q4_k);
  std::vector<float> back(matrix_.size());
  decode_row(t.type, t.bytes.data(), back.data(), std::ssize(back));
  for (std::size_t i = 0; i < back.size(); ++i) ASSERT_NEAR(back[i], matrix_[i], 0.1);
  EXPECT_EQ(std::to_integer<int>(out.tensor("table").bytes[0]), 7);
}

TEST_F(Quantize, ThreadsDoNotChangeTheBytes) {
  const gguf::File in = model();
  run(in, DType::q2_k);
  const gguf::File two = gguf::File::open(folder_ / "out.gguf");
  fs::rename(folder_ / "out.gguf", folder_ / "two.gguf");
  Team one({.threads = 1});
  const DType types[] = {DType::f32, DType::q2_k, DType::i32};
  quantize(in, folder_ / "out.gguf", types, one, {});
  const gguf::File again = gguf::File::open(folder_ / "out.gguf");
  EXPECT_TRUE(std::ranges::equal(two.parts()[0].bytes(), again.parts()[0].bytes()));
}

TEST_F(Quantize, NamesTheElementThatIsNoNumber) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    matrix_[40 * 256 + 3] = matrix_[50 * 256 + 9] = bad;
    for (const DType type : {DType::q4_k, DType::q8_0, DType::f16, DType::f32}) {
      const auto e = failure(type);
      ASSERT_TRUE(e);
      EXPECT_EQ(e->kind(), ErrorKind::bad_file);
      EXPECT_THAT(e->what(),
                  testing::HasSubstr("in.gguf: tensor blk.0.ffn_up.weight: element 3 of row 40 is"));
    }
  }
}

TEST_F(Quantize, NamesTheElementThatATypeCannotHold) {
  matrix_[256] = -70000;
  const auto e = failure(DType::f16);
  ASSERT_TRUE(e);
  EXPECT_EQ(e->kind(), ErrorKind::unsupported);
  EXPECT_THAT(e->what(), testing::HasSubstr("element 0 of row 1 is -70000, which is more than f16 can hold"));
  run(model(), DType::bf16);
}

TEST_F(Quantize, TheInputIsNotOverwritten) {
  const gguf::File in = model();
  const auto size = fs::file_size(folder_ / "in.gguf");
  fs::create_hard_link(folder_ / "in.gguf", folder_ / "out.gguf");
  EXPECT_THROW(run(in, DType::q4_k), Error);
  EXPECT_EQ(fs::file_size(folder_ / "in.gguf"), size);
}

TEST_F(Quantize, StoppingLeavesAnOlderFileAsItWas) {
  const gguf::File in = model();
  run(in, DType::q8_0);
  const auto size = fs::file_size(folder_ / "out.gguf");
  QuantizeOptions stop{.on_progress = [](std::uint64_t done, std::uint64_t) {
    if (done > 2000) throw Error(ErrorKind::cancelled, "stopped");
  }};
  EXPECT_THROW(run(in, DType::q2_k, stop), Error);
  EXPECT_EQ(fs::file_size(folder_ / "out.gguf"), size);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2);
}

TEST_F(Quantize, AnotherModelsImportanceIsRefused) {
  Imatrix m;
  m.entries["blk.0.ffn_up.weight"] = {
      .columns = 128, .counts = {1}, .squares = std::vector<double>(128), .sums = {}};
  const auto e = failure(DType::q4_k, {.imatrix = &m, .imatrix_name = "m.gguf"});
  ASSERT_TRUE(e);
  EXPECT_THAT(e->what(),
              testing::HasSubstr("m.gguf: has 128 columns for tensor blk.0.ffn_up.weight, which has 256"));
}

TEST_F(Quantize, SplitModelsStaySplitIfTheyShall) {
  const std::vector<float> rows(2 * 256, 1.0F);
  for (int part = 0; part < 2; ++part) {
    gguf::Writer w(folder_ / ("m-0000" + std::to_string(part + 1) + "-of-00002.gguf"));
    if (part == 0) w.set("general.architecture", "llama");
    w.set("split.no", static_cast<std::uint16_t>(part));
    w.set("split.count", std::uint16_t{2});
    w.set("split.tensors.count", std::int32_t{2});
    w.add_tensor("blk." + std::to_string(part) + ".ffn_up.weight", DType::f32, {2, 256});
    w.write(std::as_bytes(std::span(rows)));
    w.finish();
  }
  const gguf::File in = gguf::File::open(folder_ / "m-00001-of-00002.gguf");
  const DType types[] = {DType::q8_0, DType::q4_k};
  const QuantizeReport split = quantize(in, folder_ / "o.gguf", types, team_, {.keep_split = true});
  EXPECT_EQ(split.files, (std::vector{folder_ / "o-00001-of-00002.gguf", folder_ / "o-00002-of-00002.gguf"}));
  EXPECT_EQ(gguf::File::open(split.files[0]).tensor("blk.1.ffn_up.weight").type, DType::q4_k);
  const QuantizeReport one = quantize(in, folder_ / "o.gguf", types, team_, {});
  EXPECT_EQ(one.files, std::vector{folder_ / "o.gguf"});
  const gguf::File out = gguf::File::open(folder_ / "o.gguf");
  EXPECT_FALSE(out.metadata().contains("split.count"));
  EXPECT_EQ(out.tensors().size(), 2);
}

}  // namespace
}  // namespace medlar::quant
