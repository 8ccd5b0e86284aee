// How long constrained decoding takes: compiling, and the mask before each token of a text.
//   bench_grammar MODEL.gguf (gbnf|regex|schema) GRAMMAR_FILE TEXT_FILE
// The text is tokenized and followed token by token, twice: with everything new, and again with what was
// learnt.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "models/tokenizer_spec.h"
#include "tests/text/cases.h"
#include "text/grammar/grammar.h"
#include "text/grammar/matcher.h"
#include "text/tokenizer.h"

namespace medlar::grammar {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds(Clock::time_point from) {
  return std::chrono::duration<double, std::micro>(Clock::now() - from).count();
}

Rules parse(std::string_view kind, std::string_view source) {
  if (kind == "gbnf") return parse_gbnf(source);
  if (kind == "regex") return parse_regex(source);
  return parse_json_schema(source);
}

void report(std::string_view what, std::vector<double> times) {
  if (times.empty()) return;
  std::ranges::sort(times);
  const auto at = [&](double share) {
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  double sum = 0;
  for (const double t : times) sum += t;
  const auto above = times.end() - std::ranges::upper_bound(times, 50.0);
  fmt::print(
      "{:<14} {:>5} masks: median {:.1f} us, p90 {:.1f}, p99 {:.1f}, max {:.0f}, sum {:.1f} ms, {:.1f} % "
      "above 50 us\n",
      what, times.size(), at(0.5), at(0.9), at(0.99), times.back(), sum / 1000,
      100.0 * static_cast<double>(above) / static_cast<double>(times.size()));
}

int run(int argc, char** argv) {
  if (argc != 5) {
    fmt::print(stderr, "usage: bench_grammar MODEL.gguf (gbnf|regex|schema) GRAMMAR_FILE TEXT_FILE\n");
    return 2;
  }
  const gguf::File file = gguf::File::open(argv[1]);
  const text::Tokenizer tokenizer(models::tokenizer_spec(file.metadata()));
  auto start = Clock::now();
  const auto vocabulary = std::make_shared<const Vocabulary>(tokenizer);
  fmt::print("vocabulary     {} tokens, {} nodes: {:.1f} ms\n", vocabulary->size(),
             vocabulary->trie(0).size(), microseconds(start) / 1000);
  const std::string source = text::read_file(argv[3]);
  std::string text = text::read_file(argv[4]);
  start = Clock::now();
  const auto constraint = std::make_shared<Constraint>(parse(argv[2], source), vocabulary);
  fmt::print("compile        {} bytes, {} states: {:.2f} ms\n", source.size(), constraint->states(),
             microseconds(start) / 1000);
  const std::vector<TokenId> tokens = tokenizer.encode(text, {.add_special = false});
  std::vector<std::uint64_t> bits(vocabulary->words());
  for (const std::string_view pass : {"first pass", "second pass"}) {
    Matcher matcher(constraint);
    std::vector<double> masks, accepts;
    for (const TokenId token : tokens) {
      start = Clock::now();
      matcher.mask(bits);
      masks.push_back(microseconds(start));
      if (!(bits[static_cast<std::size_t>(token) / 64] >> (token % 64) & 1) || !matcher.accept(token)) {
        fmt::print("refused after {} bytes: \"{}\"\n", matcher.text().size(), tokenizer.piece(token));
        break;
      }
    }
    if (matcher.complete()) fmt::print("complete\n");
    report(pass, masks);
  }
  return 0;
}

}  // namespace
}  // namespace medlar::grammar

int main(int argc, char** argv) {
  try {
    return medlar::grammar::run(argc, argv);
  } catch (const medlar::Error& error) {
    fmt::print(stderr, "bench_grammar: {}\n", error.what());
    return 1;
  }
}
