// Tokenizer throughput, and what twice the text costs.
//   bench_tokenizer MODEL.gguf [TEXT_FILE] [--benchmark_...]
// Without a text file the text is this repository's own documentation and source.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "checkpoint/gguf.h"
#include "models/tokenizer_spec.h"
#include "tests/text/cases.h"
#include "text/tokenizer.h"

namespace medlar::text {
namespace {

namespace fs = std::filesystem;

std::string repository_text() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(MEDLAR_SOURCE_DIR)) {
    const fs::path path = entry.path().lexically_relative(MEDLAR_SOURCE_DIR);
    const std::string top = path.begin()->string();
    if (top == "build" || top.starts_with(".")) continue;
    const std::string extension = path.extension().string();
    if (extension == ".md" || extension == ".h" || extension == ".cpp" || extension == ".py") {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  std::string text;
  for (const fs::path& file : files) text += read_file(file.string());
  return text;
}

// Texts that make a careless tokenizer quadratic.
struct Repeat {
  const char* name;
  std::string unit;  // repeated; empty: random bytes
};

const Repeat kRepeats[] = {
    {"letters", "a"},         {"capitals", "A"},      {"digits", "7"},        {"spaces", " "},
    {"newlines", "\n"},       {"punctuation", "!"},   {"marks", "\u0301"},    {"han", "\u6211"},
    {"emoji", "\U0001F999"},  {"letter-digit", "a1"}, {"letter-space", "a "}, {"letter-newline", "a\n"},
    {"space-newline", " \n"}, {"case", "aA"},         {"apostrophes", "'"},   {"tabs-spaces", "\t "},
    {"angle-brackets", "<|"}, {"invalid", "\xFF"},    {"lead-bytes", "\xE2"}, {"cut-characters", "\xE2\x96"},
    {"random-bytes", ""},
};

std::string repeated(const Repeat& repeat, std::size_t bytes) {
  std::string text;
  text.reserve(bytes + 8);
  std::mt19937 random(1);
  while (text.size() < bytes) {
    if (repeat.unit.empty()) {
      text.push_back(static_cast<char>(random()));
    } else {
      text += repeat.unit;
    }
  }
  return text;
}

// Processor time, which other programs on the machine do not lengthen.
double seconds(const Tokenizer& tokenizer, std::string_view text) {
  const std::clock_t start = std::clock();
  benchmark::DoNotOptimize(tokenizer.encode(text));
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

void encode_text(benchmark::State& state, const Tokenizer& tokenizer, std::string_view text) {
  std::size_t tokens = 0;
  for (auto _ : state) tokens = tokenizer.encode(text).size();
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * state.iterations());
  state.counters["bytes_per_token"] = static_cast<double>(text.size()) / static_cast<double>(tokens);
}

void decode_text(benchmark::State& state, const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<TokenId> tokens = tokenizer.encode(text);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.decode(tokens));
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * state.iterations());
}

// `doubling`: the time for 10 MB over that for 5 MB, the best of three each.
void encode_repeat(benchmark::State& state, const Tokenizer& tokenizer, const Repeat& repeat) {
  constexpr std::size_t kHalf = 5'000'000;
  const std::string text = repeated(repeat, 2 * kHalf);
  double half = 1e9;
  double whole = 1e9;
  for (auto _ : state) {
    half = std::min(half, seconds(tokenizer, std::string_view(text).substr(0, kHalf)));
    whole = std::min(whole, seconds(tokenizer, text));
  }
  state.counters["MB/s"] = static_cast<double>(text.size()) / whole / 1e6;
  state.counters["doubling"] = whole / half;
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc < 2) {
    fmt::print(stderr, "usage: bench_tokenizer MODEL.gguf [TEXT_FILE] [--benchmark_...]\n");
    return 2;
  }
  const gguf::File file = gguf::File::open(argv[1]);
  const TokenizerSpec spec = models::tokenizer_spec(file.metadata());
  const Tokenizer tokenizer(spec);
  const std::string text = argc > 2 ? read_file(argv[2]) : repository_text();
  benchmark::RegisterBenchmark("load", [&](benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(Tokenizer(spec));
  })->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("encode/mixed", encode_text, std::cref(tokenizer), std::string_view(text));
  benchmark::RegisterBenchmark("encode/chat", encode_text, std::cref(tokenizer),
                               std::string_view(text).substr(0, 200));
  benchmark::RegisterBenchmark("decode/mixed", decode_text, std::cref(tokenizer), std::string_view(text));
  for (const Repeat& repeat : kRepeats) {
    benchmark::RegisterBenchmark((std::string("encode/") + repeat.name).c_str(), encode_repeat,
                                 std::cref(tokenizer), std::cref(repeat))
        ->Iterations(3)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace medlar::text

int main(int argc, char** argv) {
  try {
    return medlar::text::run(argc, argv);
  } catch (const medlar::Error& error) {
    fmt::print(stderr, "bench_tokenizer: {}\n", error.what());
    return 1;
  }
}
