// The benchmark's tests, its runs on a tiny model, and the documents it writes. Nothing here depends on time.
#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "kernels/cpu/peak.h"
#include "kernels/cpu/table.h"
#include "tests/support/tiny_model.h"
#include "tune/bench.h"
#include "tune/bench_report.h"
#include "tune/machine_limits.h"

namespace medlar::tune {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> names(const BenchOptions& options) {
  std::vector<std::string> names;
  for (const BenchTest& t : bench_tests(options)) names.push_back(t.name());
  return names;
}

TEST(Bench, TestsAreAllCombinations) {
  EXPECT_THAT(names({}), ElementsAre("pp512", "tg128"));
  EXPECT_THAT(names({.prompts = {8, 0}, .gens = {0}, .depths = {0, 64}, .pairs = {{16, 4}}}),
              ElementsAre("pp8", "pp8 @ d64", "pp16+tg4", "pp16+tg4 @ d64"));
  EXPECT_THROW(bench_tests({.prompts = {0}, .gens = {}}), Error);
}

// A result with round numbers: 10 tokens in 1, 2 and 4 seconds.
BenchResult example() {
  return {.setting = {.model_path = "folder/a \"quoted\", name.gguf",
                      .model_type = "llama 135M q4_1",
                      .cpu = "CPU",
                      .backend = "cpu",
                      .model_bytes = 98'000'000,
                      .parameters = 134'515'008,
                      .test = {.gen = 10, .depth = 64},
                      .threads = 2,
                      .batch = 512,
                      .k_type = DType::q8_0,
                      .v_type = DType::f16},
          .seconds = {2, 1, 4},
          .limit = BenchLimit{"read bandwidth", 2e9, 2e8},
          .anonymous_bytes = 40'000'000,
          .file_bytes = 98'000'000};
}

std::string document(BenchFormat format, int rows) {
  BenchReport report(format);
  std::string text = report.begin();
  for (int i = 0; i < rows; ++i) text += report.row(example());
  return text + report.end();
}

TEST(BenchReport, JsonHasTheFieldsOfTheContract) {
  const boost::json::value parsed = boost::json::parse(document(BenchFormat::json, 2));
  ASSERT_EQ(parsed.as_array().size(), 2U);
  const boost::json::object& o = parsed.as_array()[0].as_object();
  EXPECT_EQ(o.at("n_prompt"), 0);
  EXPECT_EQ(o.at("n_gen"), 10);
  EXPECT_EQ(o.at("n_depth"), 64);
  EXPECT_EQ(o.at("n_threads"), 2);
  EXPECT_EQ(o.at("n_batch"), 512);
  EXPECT_EQ(o.at("type_k"), "q8_0");
  EXPECT_EQ(o.at("type_v"), "f16");
  EXPECT_EQ(o.at("test"), "tg10 @ d64");
  EXPECT_EQ(o.at("model_size"), 98'000'000);
  EXPECT_EQ(o.at("model_n_params"), 134'515'008);
  EXPECT_EQ(o.at("samples_ts"), boost::json::array({5.0, 10.0, 2.5}));
  EXPECT_DOUBLE_EQ(o.at("median_ts").as_double(), 5);
  EXPECT_NEAR(o.at("avg_ts").as_double(), 17.5 / 3, 1e-12);
  EXPECT_NEAR(o.at("stddev_ts").as_double(), 3.818813079129867, 1e-12);
  EXPECT_DOUBLE_EQ(o.at("limit").as_double(), 10);
  EXPECT_DOUBLE_EQ(o.at("limit_share").as_double(), 0.5);
  EXPECT_DOUBLE_EQ(o.at("rss_anon_mb").as_double(), 40);
  EXPECT_DOUBLE_EQ(o.at("rss_file_mb").as_double(), 98);
}

TEST(BenchReport, NoResultsAreStillJson) {
  EXPECT_TRUE(boost::json::parse(document(BenchFormat::json, 0)).as_array().empty());
}

TEST(BenchReport, JsonLinesAreOneObjectEach) {
  std::istringstream lines(document(BenchFormat::jsonl, 3));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count)
    EXPECT_EQ(boost::json::parse(line).as_object().at("n_gen"), 10);
  EXPECT_EQ(count, 3);
}

// Cells of a line, quotes taken into account.
std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> result(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      result.back() += line[++i];
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      result.emplace_back();
    } else {
      result.back() += line[i];
    }
  }
  return result;
}

TEST(BenchReport, CsvHasOneHeadAndEscapesText) {
  std::istringstream lines(document(BenchFormat::csv, 2));
  std::string head, row, second, more;
  ASSERT_TRUE(std::getline(lines, head) && std::getline(lines, row) && std::getline(lines, second));
  EXPECT_FALSE(std::getline(lines, more));
  const std::vector<std::string> keys = cells(head), values = cells(row);
  ASSERT_EQ(keys.size(), values.size());
  EXPECT_EQ(keys[0], "model_filename");
  EXPECT_EQ(values[0], "folder/a \"quoted\", name.gguf");
  EXPECT_EQ(row, second);
}

TEST(BenchReport, MarkdownRowsHaveAsManyCellsAsTheHead) {
  std::istringstream lines(document(BenchFormat::md, 1));
  std::set<std::ptrdiff_t> bars;
  std::string line, last;
  while (std::getline(lines, line)) bars.insert(std::ranges::count(line, '|')), last = line;
  EXPECT_EQ(bars.size(), 1U);
  EXPECT_THAT(last, ::testing::HasSubstr("| 5.00 | 2.50 to 10.00 | 50 % of read bandwidth |"));
}

TEST(BenchReport, UnknownFormatIsRefused) {
  EXPECT_EQ(parse_bench_format("jsonl"), BenchFormat::jsonl);
  EXPECT_THROW(parse_bench_format("xml"), Error);
}

TEST(Bench, RunsEveryCombinationOnAModel) {
  const testing::TemporaryFolder folder;
  testing::write_tiny_model(folder / "m.gguf", {.type = DType::q8_0});
  std::vector<BenchResult> results;
  bench(folder / "m.gguf",
        {.prompts = {20},
         .gens = {3},
         .depths = {0, 70},
         .pairs = {{5, 2}},
         .batches = {8, 32},
         .threads = {1},
         .k_types = {DType::f16},
         .v_types = {DType::f16},
         .repetitions = 2},
        [&](const BenchResult& r) { results.push_back(r); });
  ASSERT_EQ(results.size(), 12U);
  for (const BenchResult& r : results) {
    EXPECT_EQ(r.seconds.size(), 2U);
    EXPECT_EQ(r.setting.threads, 1);
    EXPECT_EQ(r.setting.k_type, DType::f16);
    for (const double rate : r.tokens_per_second()) EXPECT_GT(rate, 0);
    const bool mixed = r.setting.test.prompt > 0 && r.setting.test.gen > 0;
    EXPECT_EQ(r.limit.has_value(), !mixed);
    if (r.limit) {
      EXPECT_GT(r.limit_share(), 0);
    }
  }
  EXPECT_EQ(results[0].setting.batch, 8);
  EXPECT_EQ(results[11].setting.batch, 32);
  EXPECT_EQ(results[1].setting.test.name(), "pp20 @ d70");
}

// Of the experts, a token reads those that it uses.
TEST(Bench, ATokenTakesTheBytesOfItsExperts) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "m.gguf";
  testing::write_tiny_model(
      path,
      {.architecture = "qwen3moe", .type = DType::q8_0, .head_dim = 32, .experts = 8, .experts_used = 2});
  double bytes = 0, operations = 0;
  const gguf::File file = gguf::File::open(path);
  for (const gguf::Tensor& t : file.tensors()) {
    const double share = t.name.ends_with("_exps.weight") ? 2.0 / 8 : 1;
    bytes += share * static_cast<double>(t.view.bytes.size());
    if (t.view.shape.rank() > 1 && t.name != "token_embd.weight")
      operations += 2 * share * static_cast<double>(t.view.shape.elements());
  }
  std::vector<BenchLimit> limits;
  bench(path, {.prompts = {8}, .gens = {2}, .threads = {1}, .repetitions = 1}, [&](const BenchResult& r) {
    if (r.limit) limits.push_back(*r.limit);
  });
  ASSERT_EQ(limits.size(), 2U);
  EXPECT_EQ(limits[0].per_token, operations);
  EXPECT_EQ(limits[1].per_token, bytes);
}

TEST(MachineLimits, EveryInstructionSetHereHasProductLoops) {
  const CpuFeatures features = detect_cpu_features();
  Team team({.threads = 1});
  for (const kernels::Isa isa :
       {kernels::Isa::scalar, kernels::Isa::avx2, kernels::Isa::avx512, kernels::Isa::neon}) {
    if (!kernels::runs_here(isa, features) || kernels::cpu_entries(isa).empty()) continue;
    const kernels::PeakLoops loops = kernels::peak_loops(isa);
    EXPECT_EQ(product_peak(team, loops.f32).has_value(), isa != kernels::Isa::amx) << kernels::name(isa);
    EXPECT_EQ(product_peak(team, loops.quantized).has_value(), isa != kernels::Isa::scalar);
    EXPECT_GT(product_peak(team, loops.f32.run ? loops.f32 : loops.quantized), 0) << kernels::name(isa);
  }
}

}  // namespace
}  // namespace medlar::tune
