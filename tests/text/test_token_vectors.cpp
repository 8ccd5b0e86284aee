// The test vectors that travel with llama.cpp's vocabularies: ids that the models' own tokenizers gave.
#include <filesystem>
#include <set>

#include <gtest/gtest.h>

#include "checkpoint/gguf.h"
#include "models/tokenizer_spec.h"
#include "tests/text/cases.h"
#include "text/tokenizer.h"

namespace medlar::text {
namespace {

namespace fs = std::filesystem;

std::set<fs::path> vocabularies() {
  std::set<fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(fs::path(MEDLAR_SHARED_DATA) / "tokenizers", none)) {
    if (entry.path().extension() == ".gguf") found.insert(entry.path());
  }
  return found;
}

TEST(TokenVectors, EveryVocabularyGivesTheIdsOfItsModel) {
  const std::set<fs::path> paths = vocabularies();
  if (paths.empty()) GTEST_SKIP() << "no vocabularies in " << MEDLAR_SHARED_DATA << "/tokenizers";
  for (const fs::path& path : paths) {
    SCOPED_TRACE(path.filename().string());
    const std::vector<std::string> texts = split_cases(read_file(path.string() + ".inp"));
    const std::vector<std::vector<int>> expected = read_ids(read_file(path.string() + ".out"));
    ASSERT_EQ(texts.size(), expected.size());
    ASSERT_GT(texts.size(), 40u);
    const gguf::File file = gguf::File::open(path);
    const Tokenizer tokenizer(models::tokenizer_spec(file.metadata()));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(tokenizer.encode(texts[i], {.add_special = false}), expected[i])
          << testing::PrintToString(texts[i]);
    }
  }
}

}  // namespace
}  // namespace medlar::text
