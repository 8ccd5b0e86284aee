// Tiny models against the log-probabilities that Transformers computes (tests/goldens): in prefill, in decode
// one token at a time, over a snapshot and its restore, and in steps of unequal sequences. Encoders against
// its hidden states, of texts alone and beside each other.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/cpu_features.h"
#include "base/team.h"
#include "checkpoint/gguf.h"
#include "engine/step_batch.h"
#include "engine/timeline.h"
#include "kernels/cpu/table.h"
#include "models/model.h"
#include "runtime/cpu/backend.h"

namespace medlar {
namespace {

const std::filesystem::path kFolder = MEDLAR_SOURCE_DIR "/tests/goldens";
constexpr std::int64_t kContext = 128;

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Golden {
  std::vector<std::int32_t> tokens;
  std::vector<float> log_probs;  // (tokens, vocab)

  std::size_t size() const { return tokens.size(); }

  explicit Golden(const std::string& stem) {
    // {"tokens": [1, 2, ...]}
    const std::string json = contents(stem + ".json");
    for (std::size_t at = json.find('[') + 1; at < json.size() && json[at] != '}';) {
      std::size_t digits = 0;
      tokens.push_back(std::stoi(json.substr(at), &digits));
      at += digits + 1;
    }
    // The values are what follows the header of a .npy file, whose length is a u16 at byte 8.
    const std::string npy = contents(stem + ".npy");
    const std::size_t header =
        10 + static_cast<unsigned char>(npy[8]) + 256U * static_cast<unsigned char>(npy[9]);
    log_probs.resize((npy.size() - header) / sizeof(float));
    std::memcpy(log_probs.data(), npy.data() + header, log_probs.size() * sizeof(float));
  }
};

// A model's program with the cache of a few sequences, each of which reads the golden's tokens.
class Reader {
 public:
  Reader(const models::Model& model, const Golden& golden, int sequences)
      : golden_(golden),
        batch_(static_cast<std::int64_t>(golden.size()) * sequences),
        groups_(static_cast<int>(model.graph.group_windows().size())) {
    const CpuFeatures features = detect_cpu_features();
    const auto backend = runtime::make_cpu_backend(std::make_shared<Team>(TeamOptions{.threads = 1}),
                                                   kernels::CpuTable(best_cpu_level(features), features));
    auto pages = Timeline::pages(model.graph, kContext, static_cast<int>(batch_));
    for (std::int32_t& count : pages) count *= sequences;
    program_ = backend->lower(model.graph, {.max_tokens = static_cast<int>(batch_),
                                            .max_logit_rows = static_cast<int>(batch_),
                                            .max_sequences = sequences,
                                            .k_type = DType::f32,
                                            .v_type = DType::f32,
                                            .kv_pages = pages,
                                            .exact = true});
    tree_ = std::make_unique<PageTree>(
        Timeline::tree_options(model.graph, *program_, pages, {sequences, kContext}));
    for (int s = 0; s < sequences; ++s) tree_->begin(s, std::to_string(s), {});
  }

  struct Part {
    int sequence;
    std::size_t begin, end;  // of the golden's tokens
  };
  // Runs all of them in one step; returns the largest difference of log-probabilities.
  double step(const std::vector<Part>& parts) {
    run(parts);
    double worst = 0;
    std::int32_t row = 0;
    for (const Part& p : parts)
      for (std::size_t i = p.begin; i < p.end; ++i) worst = std::max(worst, difference(row++, i));
    return worst;
  }
  // Of whole texts the largest difference of hidden states, where the golden's rows of a text begin at
  // `first`.
  double texts(const std::vector<Part>& parts, std::vector<std::size_t> first) {
    run(parts);
    double worst = 0;
    std::int32_t row = 0;
    for (std::size_t p = 0; p < parts.size(); ++p)
      for (std::size_t i = 0; i < parts[p].end; ++i) {
        const std::span<const float> got = program_->logits(row++);
        const float* expected = golden_.log_probs.data() + (first[p] + i) * got.size();
        for (std::size_t d = 0; d < got.size(); ++d)
          worst = std::max<double>(worst, std::abs(got[d] - expected[d]));
      }
    return worst;
  }

  // Everything that this program keeps of a sequence, in a new one's cache.
  void restore_from(const Reader& other, std::size_t tokens) {
    EXPECT_TRUE(tree_->extend(0, std::span(golden_.tokens).first(tokens)));
    for (int group = 0; group < groups_; ++group) {
      const kernels::PageTable from = other.tree_->table(group), to = tree_->table(group);
      std::vector<std::byte> bytes(program_->page_bytes(group));
      for (std::size_t page = 0; page * kPageTokens < tokens; ++page) {
        if (from.pages[page] < 0) continue;  // behind its window
        other.program_->read_page(group, from.pages[page], bytes);
        program_->write_page(group, to.pages[page], bytes);
      }
    }
  }

 private:
  void run(const std::vector<Part>& parts) {
    StepBatch batch(batch_);
    for (const Part& p : parts) {
      const auto tokens = std::span(golden_.tokens).subspan(p.begin, p.end - p.begin);
      EXPECT_TRUE(tree_->extend(p.sequence, tokens));
      batch.add(p.sequence, static_cast<std::int64_t>(p.begin), tokens, StepBatch::Logits::all);
    }
    batch.run(*program_, *tree_, groups_);
  }

  // Of a row of logits and what Transformers has after token i.
  double difference(std::int32_t row, std::size_t i) const {
    const std::span<const float> logits = program_->logits(row);
    const float* expected = golden_.log_probs.data() + i * logits.size();
    double sum = 0, worst = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
    for (std::size_t t = 0; t < logits.size(); ++t)
      worst = std::max(worst, std::abs(logits[t] - std::log(sum) - expected[t]));
    return worst;
  }

  const Golden& golden_;
  std::int64_t batch_;
  int groups_;
  std::unique_ptr<runtime::Program> program_;
  std::unique_ptr<PageTree> tree_;
};

std::vector<std::string> names(std::string_view kind) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder))
    if (entry.path().extension() == ".gguf" && entry.path().stem().string().starts_with(kind))
      names.push_back(entry.path().stem());
  std::ranges::sort(names);
  return names;
}

class Goldens : public ::testing::TestWithParam<std::string> {
 protected:
  static constexpr double kBound = 1e-3;

  std::string stem_ = kFolder / GetParam();
  Golden golden_{stem_};
  gguf::File file_ = gguf::File::open(stem_ + ".gguf");
  models::Model model_ = models::build({file_, kContext});
  std::size_t size_ = golden_.size();
};

TEST_P(Goldens, AgreeInPrefill) {
  ASSERT_GE(size_, 48U);
  EXPECT_LT(Reader(model_, golden_, 1).step({{0, 0, size_}}), kBound);
  Reader in_parts(model_, golden_, 1);
  for (std::size_t at = 0; at < size_; at += 7)
    EXPECT_LT(in_parts.step({{0, at, std::min(at + 7, size_)}}), kBound) << at;
}

TEST_P(Goldens, AgreeInDecode) {
  Reader reader(model_, golden_, 1);
  for (std::size_t at = 0; at < size_; ++at) EXPECT_LT(reader.step({{0, at, at + 1}}), kBound) << at;
}

TEST_P(Goldens, AgreeAcrossASnapshot) {
  const std::size_t half = size_ / 2 + 3;
  Reader before(model_, golden_, 1), after(model_, golden_, 1);
  before.step({{0, 0, half}});
  after.restore_from(before, half);
  EXPECT_LT(after.step({{0, half, half + 1}}), kBound);
  EXPECT_LT(after.step({{0, half + 1, size_}}), kBound);
}

TEST_P(Goldens, AgreeInStepsOfUnequalSequences) {
  Reader reader(model_, golden_, 3);
  EXPECT_LT(reader.step({{0, 0, 23}, {1, 0, 5}}), kBound);
  EXPECT_LT(reader.step({{2, 0, 1}, {0, 23, 24}, {1, 5, 40}}), kBound);
  EXPECT_LT(reader.step({{1, 40, 41}, {2, 1, size_}, {0, 24, size_}}), kBound);
}

const auto kTestName = [](const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::ranges::replace_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
};
INSTANTIATE_TEST_SUITE_P(Tiny, Goldens, ::testing::ValuesIn(names("tiny-")), kTestName);

// tests/goldens/make_encoders.py: texts of these lengths, whose rows follow one another.
class Encoders : public Goldens {};
constexpr std::size_t kTexts[] = {90, 1, 23};

TEST_P(Encoders, AgreeOnTextsAlone) {
  ASSERT_TRUE(model_.encoder);
  ASSERT_EQ(size_, kTexts[0]);
  std::size_t first = 0;
  for (const std::size_t text : kTexts) {
    EXPECT_LT(Reader(model_, golden_, 1).texts({{0, 0, text}}, {first}), kBound) << text;
    first += text;
  }
}

TEST_P(Encoders, AgreeOnTextsTogether) {
  Reader reader(model_, golden_, 4);
  EXPECT_LT(reader.texts({{1, 0, 23}, {0, 0, 90}, {3, 0, 1}, {2, 0, 23}}, {91, 0, 90, 91}), kBound);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Encoders, ::testing::ValuesIn(names("encoder-")), kTestName);

}  // namespace
}  // namespace medlar
